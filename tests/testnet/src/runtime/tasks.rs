use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use emissary_core::runtime;
use futures_core::Stream;
use tokio::task::JoinSet;

/// Tasks whose results are awaited together.
///
/// If this stream ends, the routers shut down the bridge that polls it. So it never ends: a task that
/// panicked is skipped, and an empty set waits for the next task.
#[derive(Debug)]
pub(crate) struct Tasks<T> {
    set: JoinSet<T>,
    polled_while_empty: Option<Waker>,
}

impl<T: Send + 'static> Tasks<T> {
    pub(crate) fn new() -> Self {
        Self {
            set: JoinSet::new(),
            polled_while_empty: None,
        }
    }
}

impl<T: Send + 'static> runtime::JoinSet<T> for Tasks<T> {
    fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    fn len(&self) -> usize {
        self.set.len()
    }

    fn push<F>(&mut self, future: F)
    where
        F: Future<Output = T> + Send + 'static,
        F::Output: Send,
    {
        self.set.spawn(future);
        if let Some(waker) = self.polled_while_empty.take() {
            waker.wake();
        }
    }
}

impl<T: Send + 'static> Stream for Tasks<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        loop {
            match self.set.poll_join_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(value))) => return Poll::Ready(Some(value)),
                Poll::Ready(Some(Err(_panicked))) => {}
                Poll::Ready(None) => {
                    self.polled_while_empty = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emissary_core::runtime::JoinSet as _;
    use std::future::poll_fn;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(future)
    }

    async fn next<T: Send + 'static>(tasks: &mut Tasks<T>) -> Option<T> {
        poll_fn(|cx| Pin::new(&mut *tasks).poll_next(cx)).await
    }

    fn is_pending<T: Send + 'static>(tasks: &mut Tasks<T>) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(tasks).poll_next(&mut cx).is_pending()
    }

    #[test]
    fn an_empty_set_is_pending() {
        block_on(async {
            assert!(is_pending(&mut Tasks::<u8>::new()));
        });
    }

    #[test]
    fn a_task_that_panics_does_not_end_the_set() {
        block_on(async {
            let mut tasks = Tasks::new();
            // Unlike with `panic!`, the panic hook does not print this.
            tasks.push(async { std::panic::resume_unwind(Box::new("on purpose")) });
            tasks.push(async { 7 });
            assert_eq!(next(&mut tasks).await, Some(7));
            assert!(is_pending(&mut tasks));
        });
    }

    #[test]
    fn a_task_pushed_after_an_empty_poll_wakes_the_poller() {
        block_on(async {
            let mut tasks = Tasks::new();
            let mut pushed = false;
            let value = poll_fn(|cx| {
                let polled = Pin::new(&mut tasks).poll_next(cx);
                if polled.is_pending() && !pushed {
                    pushed = true;
                    tasks.push(async { 7 });
                }
                polled
            });
            assert_eq!(value.await, Some(7));
        });
    }
}
