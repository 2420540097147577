import Shards
import Terminal

/// A cut flow for people.
enum CutFlowTable {
    /// A line a cut, with what part of the line before was left.
    static func of(_ cuts: [CutFlowEntry]) -> Table {
        var table = Table(columns: [
            .init(title: "cut"), .init(title: "left", isNumber: true), .init(title: "of before", isNumber: true),
        ])
        var before: Int?
        for cut in cuts {
            // Where jets are counted in place of events, there is nothing to compare with.
            let share = before.flatMap { $0 >= cut.passed && $0 > 0 ? Double(cut.passed) / Double($0) : nil }
            table.rows.append([
                cut.name, Format.count(cut.passed), cut.name == "jets seen" ? "" : Format.percent(share),
            ])
            before = cut.passed
        }
        return table
    }
}
