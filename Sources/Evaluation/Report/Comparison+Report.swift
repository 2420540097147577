import Foundation

extension Comparison {
    /// A row for each sample, a column for each metric, and a last row with the floor.
    public var table: Report.Table {
        let metrics = Metric.allCases.filter { metric in others.contains { $0[metric] != nil } }
        let unit = quantity.unit.isEmpty ? "" : " [\(quantity.unit)]"
        func cells(_ row: Row, _ name: String) -> [String] {
            [name, String(row.count), String(row.dropped), MetricValue.text(row.mean)]
                + metrics.map { row[$0]?.text ?? "" }
        }
        return Report.Table(
            "\(quantity.name)\(unit) against \(reference.name): metrics with the width of the bootstrap; the floor is the median between halves of the reference",
            columns: ["sample", "entries", "left out", "mean\(unit)"]
                + metrics.map { $0.label + ($0.hasUnit ? unit : "") },
            rows: others.map { cells($0, $0.name) } + [cells(reference, "floor: \(reference.name)")])
    }
}

extension MetricValue {
    /// The number with its error, to the error's second digit: `0.0312 ± 0.0016`.
    public var text: String {
        guard error.isFinite, error > 0, value.isFinite else {
            let plain = Self.text(value)
            return error.isInfinite ? "\(plain) ± ∞" : plain
        }
        let digits = 1 - Int(log10(error).rounded(.down))
        guard (0...12).contains(digits) else { return "\(Self.text(value)) ± \(Self.text(error))" }
        return String(format: "%.\(digits)f ± %.\(digits)f", value, error)
    }

    /// A number to four digits.
    static func text(_ value: Double) -> String {
        value.isNaN ? "nan" : value.isInfinite ? (value > 0 ? "inf" : "-inf") : String(format: "%.4g", value)
    }
}
