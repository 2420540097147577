import Foundation
import Shards
import Terminal

/// Prints single jets with their constituents.
struct JetPrinter {
    /// At most so many constituents of each.
    let limit: Int

    /// A jet as JSON, with the first constituents.
    func json(_ jet: Jet) -> JSONValue {
        var jet = jet
        for index in jet.constituents.indices {
            jet.constituents[index].values = Array(jet.constituents[index].values.prefix(limit))
        }
        return jet.json
    }

    /// A jet as text.
    func show(_ jet: Jet) {
        var place = "\(jet.shard), record batch \(jet.batch), row \(jet.rowInBatch)"
        if let input = jet.input { place += "; from \(input)\(jet.inputRow.map { ", row \($0)" } ?? "")" }
        if let split = jet.split { place += "; split \(split)" }
        Page.line("jet \(jet.row)  (\(place))")
        Page.words(jet.values.map { "\($0.name) \(Self.exact($0.value))\($0.unit == "1" ? "" : " \($0.unit)")" })
        guard !jet.constituents.isEmpty else { return Page.line() }
        Page.line("  \(Format.counted(jet.constituentCount, "constituent"))")
        let shown = min(limit, jet.constituentCount)
        if shown > 0 { Page.table(Self.table(jet, rows: shown)) }
        if shown < jet.constituentCount { Page.line("  \(Glyphs.ellipsis) and \(jet.constituentCount - shown) more") }
        Page.line()
    }

    /// A value in its shortest exact form.
    static func exact(_ value: JSONValue) -> String {
        switch value {
        case .number(let number):
            // The shortest digits of a float32 are fewer than those of the same number as float64.
            Double(Float(number)) == number ? "\(Float(number))" : "\(number)"
        case .string(let text): text
        case .null: Glyphs.none
        default: value.text
        }
    }

    private static func table(_ jet: Jet, rows: Int) -> Table {
        let byName = Dictionary(jet.constituents.map { ($0.name, $0) }) { first, _ in first }
        // Errors stand beside what they are the errors of.
        let columns = jet.constituents.filter {
            !$0.name.hasSuffix("Err") || byName[String($0.name.dropLast(3))] == nil
        }
        var table = Table(columns: [.init(title: "#", isNumber: true)])
        for column in columns {
            let unit = column.unit == "1" ? "" : " [\(column.unit)]"
            // The momenta are what a narrow terminal can do without: pt, eta and phi say the same.
            table.columns.append(
                .init(title: column.name + unit, isNumber: true, dispensability: rank(of: column.name)))
        }
        for row in 0..<rows {
            table.rows.append(["\(row)"] + columns.map { cell($0, byName[$0.name + "Err"], row) })
        }
        return table
    }

    private static func rank(of name: String) -> Int {
        ["px", "py", "pz", "E"].contains(name) ? 2 : name == "puppiWeight" ? 1 : 0
    }

    private static func cell(_ column: Jet.Column, _ error: Jet.Column?, _ row: Int) -> String {
        guard column.values.indices.contains(row) else { return "" }
        let value = column.values[row]
        if let error, error.values.indices.contains(row) {
            // Candidates without a track have -1 in both.
            if value == .number(-1), error.values[row] == .number(-1) { return Glyphs.none }
            return "\(short(value)) \(Glyphs.plusMinus) \(short(error.values[row]))"
        }
        switch (column.name, value) {
        case ("pdgId", .number(let code)): return particle(code)
        case ("charge", .number(let charge)): return charge > 0 ? "+\(short(value))" : short(value)
        default: return short(value)
        }
    }

    private static func short(_ value: JSONValue) -> String {
        if case .number(let number) = value { return Format.five(number) }
        return exact(value)
    }

    /// The code with the name of what particle flow means by it.
    private static func particle(_ code: Double) -> String {
        guard let code = Int32(exactly: code) else { return "\(code)" }
        let name: String? =
            switch code {
            case 211: "h+"
            case -211: "h-"
            case 130: "h0"
            case 22: Glyphs.gamma
            case 11: "e-"
            case -11: "e+"
            case 13: Glyphs.mu + "-"
            case -13: Glyphs.mu + "+"
            case 1: "HF h"
            case 2: "HF " + Glyphs.gamma
            default: nil
            }
        return name.map { "\(code) \($0)" } ?? "\(code)"
    }
}
