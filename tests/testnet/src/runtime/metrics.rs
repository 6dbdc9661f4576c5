use emissary_core::runtime::{Counter, Gauge, Histogram, MetricsHandle};

/// Metrics that are discarded.
#[derive(Debug, Clone)]
pub(crate) struct Nowhere;

impl MetricsHandle for Nowhere {
    fn counter(&self, _: &'static str) -> impl Counter {
        Self
    }

    fn gauge(&self, _: &'static str) -> impl Gauge {
        Self
    }

    fn histogram(&self, _: &'static str) -> impl Histogram {
        Self
    }
}

impl Counter for Nowhere {
    fn increment(&mut self, _: usize) {}

    fn increment_with_label(&mut self, _: usize, _: &'static str, _: &'static str) {}
}

impl Gauge for Nowhere {
    fn increment(&mut self, _: usize) {}

    fn decrement(&mut self, _: usize) {}
}

impl Histogram for Nowhere {
    fn record(&mut self, _: f64) {}
}
