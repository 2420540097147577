import Foundation
import Support

/// A page of tables and figures in one file, with nothing outside it: it can be sent, kept, and read without a network,
/// in the light and in the dark.
public struct Report: Sendable {
    /// A table. Cells are text; those of columns of numbers are aligned to the right.
    public struct Table: Sendable {
        /// What it shows.
        public var caption: String
        /// The names of the columns.
        public var columns: [String]
        /// The cells.
        public var rows: [[String]]

        /// A table.
        public init(_ caption: String = "", columns: [String], rows: [[String]]) {
            (self.caption, self.columns, self.rows) = (caption, columns, rows)
        }
    }

    /// What a section holds, in its order.
    public enum Item: Sendable {
        /// A paragraph.
        case text(String)
        case table(Table)
        /// A picture that gnuplot drew, as SVG, with its caption and the names of the files that it was drawn from.
        case figure(svg: String, caption: String, sources: [String])
    }

    /// A part of the page with a heading.
    public struct Section: Sendable {
        public var title: String
        public var items: [Item]

        /// A section.
        public init(_ title: String, _ items: [Item] = []) {
            (self.title, self.items) = (title, items)
        }

        /// Adds a figure that was drawn into the directory of a renderer.
        /// - Throws: `EvaluationError` with code `figure` if there is no readable picture.
        public mutating func add(_ figure: Figure, _ files: FigureRenderer.Files) throws {
            guard let data = FileManager.default.contents(atPath: files.svg) else {
                throw EvaluationError(
                    .figure, file: files.svg, message: "the picture is not there", advice: "draw it first")
            }
            func name(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }
            items.append(
                .figure(
                    svg: String(decoding: data, as: UTF8.self), caption: figure.caption,
                    sources: ([files.script] + files.tables).map(name)))
        }
    }

    /// The heading of the page.
    public var title: String
    /// What the page says, part by part.
    public var sections: [Section]
    /// Where the numbers come from: fingerprints of datasets, commands, versions, seeds. It is the last section.
    public var provenance: [(String, String)]

    /// A report.
    public init(_ title: String, sections: [Section] = [], provenance: [(String, String)] = []) {
        (self.title, self.sections, self.provenance) = (title, sections, provenance)
    }

    /// Writes the page; it appears under its name only when it is whole.
    /// - Throws: `EvaluationError` with code `figure` for a picture that is no SVG of gnuplot, `SystemError` if it
    ///   cannot be written.
    public func write(to path: String) throws {
        try OutputFile.write(Array(html().utf8), to: path)
    }

    /// The page. The same report gives the same bytes.
    /// - Throws: `EvaluationError` with code `figure` for a picture that is no SVG of gnuplot.
    public func html() throws -> String {
        var body = "<h1>\(Self.escaped(title))</h1>\n"
        var figures = 0
        for section in sections {
            body += "<section>\n<h2>\(Self.escaped(section.title))</h2>\n"
            for item in section.items {
                switch item {
                case .text(let text): body += "<p>\(Self.escaped(text))</p>\n"
                case .table(let table): body += Self.html(table)
                case .figure(let svg, let caption, let sources):
                    figures += 1
                    body +=
                        "<figure>\n<div class=\"picture\">\(try InlineSVG(svg, prefix: "f\(figures)-").text)</div>\n"
                    body += "<figcaption>\(Self.escaped(caption))"
                    if !sources.isEmpty {
                        body +=
                            " <span class=\"sources\">Drawn from \(Self.escaped(sources.joined(separator: ", "))).</span>"
                    }
                    body += "</figcaption>\n</figure>\n"
                }
            }
            body += "</section>\n"
        }
        if !provenance.isEmpty {
            body += "<section>\n<h2>Provenance</h2>\n<dl>\n"
            for (name, value) in provenance {
                body += "<dt>\(Self.escaped(name))</dt><dd><code>\(Self.escaped(value))</code></dd>\n"
            }
            body += "</dl>\n</section>\n"
        }
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
            <title>\(Self.escaped(title))</title>
            <style>
            \(Self.style)
            </style>
            </head>
            <body>
            \(body)</body>
            </html>

            """
    }

    // MARK: Parts

    private static func html(_ table: Table) -> String {
        // A column of numbers holds nothing else, but for words that stand for one.
        let isNumber = table.columns.indices.map { column in
            table.rows.allSatisfy { row in
                guard row.indices.contains(column), let first = row[column].unicodeScalars.first else { return true }
                return "0123456789.+-−±∞–".unicodeScalars.contains(first) || ["nan", "inf"].contains(row[column])
            }
        }
        func cell(_ kind: String, _ column: Int, _ text: String) -> String {
            let align = isNumber.indices.contains(column) && isNumber[column] ? " class=\"number\"" : ""
            return "<\(kind)\(align)>\(escaped(text))</\(kind)>"
        }
        var text = "<div class=\"table\"><table>\n"
        if !table.caption.isEmpty { text += "<caption>\(escaped(table.caption))</caption>\n" }
        text +=
            "<thead><tr>" + table.columns.enumerated().map { cell("th", $0, $1) }.joined() + "</tr></thead>\n<tbody>\n"
        for row in table.rows {
            text += "<tr>" + row.enumerated().map { cell("td", $0, $1) }.joined() + "</tr>\n"
        }
        return text + "</tbody>\n</table></div>\n"
    }

    /// Text that no name of a dataset can turn into markup; control characters, which HTML does not allow, become
    /// spaces.
    static func escaped(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            case "\n", "\t": escaped.unicodeScalars.append(scalar)
            default:
                escaped.unicodeScalars.append(
                    scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) ? " " : scalar)
            }
        }
        return escaped
    }

    // Pictures keep a white ground: their colours were chosen for it.
    private static let style = """
        :root { color-scheme: light dark; --ink: #1a1a1a; --soft: #5c5c5c; --line: #d0d0d0; --ground: #ffffff; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --soft: #a8a8a8; --line: #444444; --ground: #161616; } }
        body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); }
        h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
        .table { overflow-x: auto; } table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
        caption { text-align: left; color: var(--soft); padding-bottom: .4rem; } th { text-align: left; border-bottom: 2px solid var(--line); }
        th, td { padding: .25rem .9rem .25rem 0; } td { border-bottom: 1px solid var(--line); } .number { text-align: right; }
        figure { margin: 1.5rem 0; } .picture { background: #ffffff; border: 1px solid var(--line); padding: .5rem; overflow-x: auto; width: fit-content; max-width: 100%; box-sizing: border-box; }
        .picture svg { display: block; max-width: 100%; height: auto; } figcaption { color: var(--soft); margin-top: .4rem; } .sources { font-size: .85em; }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
        code { font-family: ui-monospace, monospace; font-size: .9em; }
        """
}
