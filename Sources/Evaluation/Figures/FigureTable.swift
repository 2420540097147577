import Foundation

/// The numbers of a panel as columns of a CSV file.
struct FigureTable {
    private var names: [String] = []
    private var columns: [[Double]] = []

    /// Adds a column; returns its number as gnuplot counts.
    mutating func add(_ name: String, _ values: [Double]) -> Int {
        names.append(name)
        columns.append(values)
        return columns.count
    }

    /// How many columns there are.
    var count: Int { columns.count }
    var isEmpty: Bool { columns.isEmpty }

    /// The file (RFC 4180, lines end with a line feed): a line of names, then rows; columns that are shorter end in
    /// empty fields, as do numbers that are not finite.
    var csv: String {
        var text = names.map(Self.field).joined(separator: ",") + "\n"
        for row in 0..<(columns.map(\.count).max() ?? 0) {
            text += columns.map { row < $0.count && $0[row].isFinite ? Self.number($0[row]) : "" }
                .joined(separator: ",")
            text += "\n"
        }
        return text
    }

    /// Whole numbers without a point, others with all digits they need to come back.
    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(format: "%.0f", value) : "\(value)"
    }

    private static func field(_ text: String) -> String {
        guard text.contains(where: { ",\"\n\r".contains($0) }) else { return text }
        return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
