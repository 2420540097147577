import Foundation

/// Text in aligned columns.
package struct Table {
    /// How a column looks.
    package struct Column {
        package var title: String
        /// Numbers are aligned to the right.
        package var isNumber = false
        /// On a narrow terminal columns with higher numbers are left out first; 0 stays.
        package var dispensability = 0

        package init(title: String, isNumber: Bool = false, dispensability: Int = 0) {
            self.title = title
            self.isNumber = isNumber
            self.dispensability = dispensability
        }
    }

    package var columns: [Column]
    package var rows: [[String]] = []

    package init(columns: [Column], rows: [[String]] = []) {
        self.columns = columns
        self.rows = rows
    }

    /// The lines of the table, indented by two.
    /// - Parameter width: What they must fit into, if some columns can be left out for it; nil for all columns.
    package func lines(width: Int?) -> [String] {
        let widths = columns.indices.map { index in
            max(columns[index].title.count, rows.map { $0.indices.contains(index) ? $0[index].count : 0 }.max() ?? 0)
        }
        var shown = columns.indices.filter { index in rows.contains { $0.indices.contains(index) && !$0[index].isEmpty }
        }
        while let width, shown.reduce(0, { $0 + widths[$1] + 2 }) > width,
            let next = shown.max(by: { columns[$0].dispensability < columns[$1].dispensability }),
            columns[next].dispensability > 0
        {
            shown.removeAll { $0 == next }
        }
        return ([columns.map(\.title)] + rows).map { row in
            let cells = shown.map { index -> String in
                let text = row.indices.contains(index) ? row[index] : ""
                let space = String(repeating: " ", count: max(0, widths[index] - text.count))
                return columns[index].isNumber ? space + text : text + space
            }
            let line = "  " + cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
    }
}

/// Results for people on stdout.
package enum Page {
    /// Prints a line. Names and texts from files must not steer the terminal: control characters become question marks.
    package static func line(_ text: String = "") {
        let isClean = text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) }
        guard !isClean else { return print(text) }
        var clean = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            clean.append(scalar.value >= 0x20 && !(0x7f...0x9f).contains(scalar.value) ? scalar : "?")
        }
        print(String(clean))
    }

    /// Prints a heading with a line above.
    package static func heading(_ text: String) {
        line()
        line(text)
    }

    /// Prints a table; on a terminal it leaves out what does not fit.
    package static func table(_ table: Table) {
        for line in table.lines(width: Console.outputIsTerminal ? Console.width : nil) { self.line(line) }
    }

    /// Prints words one after another, in lines that fit.
    package static func words(_ words: [String], separator: String = "   ") {
        let width = Console.outputIsTerminal ? Console.width : 120
        var text = ""
        for word in words {
            if !text.isEmpty, text.count + separator.count + word.count > width {
                line(text)
                text = ""
            }
            text += text.isEmpty ? "  \(word)" : separator + word
        }
        if !text.isEmpty { line(text) }
    }
}

extension Format {
    /// `1 shard`, `2 shards`, `3 batches`.
    package static func counted(_ number: Int, _ noun: String) -> String {
        "\(count(number)) \(noun)\(number == 1 ? "" : noun.hasSuffix("ch") ? "es" : "s")"
    }

    /// `12.3%`; nothing if it is not known.
    package static func percent(_ share: Double?) -> String {
        guard let share else { return "" }
        return String(format: share != 0 && share < 0.001 ? "%.3f%%" : "%.1f%%", 100 * share)
    }

    /// A number with up to five significant digits.
    package static func five(_ value: Double) -> String { String(format: "%.5g", value) }
}
