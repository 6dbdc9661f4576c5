//! Markdown tables, and the arithmetic of their cells.

/// Prints a table under a heading.
pub fn print(heading: &str, columns: &[&str], rows: &[Vec<String>]) {
    println!("\n### {heading}\n");
    println!("| {} |", columns.join(" | "));
    println!("|---{}|", "|---:".repeat(columns.len() - 1));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

/// The columns of a table that compares the three clients.
pub const COMPARED: [&str; 6] = [
    "",
    "std",
    "yosemite",
    "i2p-sam",
    "i2p-sam / std",
    "i2p-sam / yosemite",
];

/// Returns a row with the figures of the three clients and their ratios.
pub fn compared(name: &str, figures: [f64; 3]) -> Vec<String> {
    let [plain, yosemite, ours] = figures;
    let mut row = vec![name.to_owned()];
    row.extend(figures.map(figure));
    row.push(ratio(ours, plain));
    row.push(ratio(ours, yosemite));
    row
}

/// Returns a figure with three digits or more.
pub fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

pub fn ratio(value: f64, of: f64) -> String {
    if of == 0.0 {
        return "–".to_owned();
    }
    format!("{:.2}", value / of)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
