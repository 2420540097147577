import Foundation

/// A figure as a script for gnuplot 5.4 or newer, and the tables that it reads.
///
/// The script names the tables by their names only, so that the folder can be moved, and draws either file: `gnuplot
/// NAME.gp` the SVG, `gnuplot -e "format='png'" NAME.gp` the PNG of twice the size. Nothing in it depends on the clock
/// or the machine.
struct GnuplotScript {
    private(set) var text = ""
    /// Tables by the names of their files.
    private(set) var tables: [String: String] = [:]

    init(_ figure: Figure) throws {
        try Self.check(figure)
        let cell = figure.cell, columns = figure.columns
        let width = cell.width * Double(columns), height = cell.height * Double(figure.rows.count)
        let font = figure.isGrid ? 10 : 12
        lines([
            "# gnuplot \(figure.name).gp draws \(figure.name).svg; gnuplot -e \"format='png'\" \(figure.name).gp draws \(figure.name).png.",
            "if (!exists('format')) format = 'svg'",
            "if (format eq 'png') {",
            "    set terminal pngcairo size \(Axis.text(2 * width)),\(Axis.text(2 * height)) enhanced font 'sans-serif,\(font)' "
                + "fontscale 1.5 linewidth 2 pointscale 2 background '#FFFFFF'",
            "} else {",
            "    set terminal svg size \(Axis.text(width)),\(Axis.text(height)) enhanced font 'sans-serif,\(font)' background '#FFFFFF'",
            "}",
            "set output '\(figure.name).'.format",
            // Lines of a legend are higher in the one format than in the other.
            "spacing = format eq 'png' ? 1.05 : 0.85",
            "set encoding utf8",
            "set datafile separator comma",
            "set datafile columnheaders",
            "set border lw 0.8",
            "set errorbars 0.5",
            "set multiplot",
        ])
        for (row, panels) in figure.rows.enumerated() {
            for (column, panel) in panels.enumerated() {
                guard let panel else { continue }
                let isOnly = columns == 1 && figure.rows.count == 1
                var drawing = PanelScript(
                    panel, table: isOnly ? figure.name + ".csv" : "\(figure.name).\(row + 1)-\(column + 1).csv",
                    left: Double(column) * cell.width, top: Double(row) * cell.height, cell: cell,
                    canvas: (width, height), fontSize: Double(font))
                lines(["", "# Row \(row + 1), column \(column + 1)"] + drawing.commands())
                if !drawing.data.isEmpty { tables[drawing.table] = drawing.data.csv }
            }
        }
        lines(["", "unset multiplot", "set output"])
    }

    private mutating func lines(_ lines: [String]) {
        for line in lines { text += line + "\n" }
    }

    private static func check(_ figure: Figure) throws {
        let allowed = figure.name.utf8.allSatisfy {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || "-_.".utf8.contains($0)
        }
        guard allowed, !figure.name.isEmpty, !figure.name.hasPrefix("."), figure.name.utf8.count <= 200 else {
            throw EvaluationError(
                .figure, place: "the name '\(figure.name)'", message: "files of a figure cannot be called so",
                advice: "take letters, digits, '-', '_' and '.'")
        }
        guard figure.rows.joined().contains(where: { $0 != nil }), figure.columns <= 12, figure.rows.count <= 24 else {
            throw EvaluationError(
                .figure, place: figure.name,
                message: "\(figure.rows.count) rows of \(figure.columns) panels", advice: "draw 1 to 24 rows of 1 to 12"
            )
        }
        for panel in figure.rows.joined() {
            guard let panel else { continue }
            for axis in [panel.x, panel.y] {
                guard let range = axis.range else { continue }
                let isFine =
                    range.lowerBound.isFinite && range.upperBound.isFinite && range.lowerBound < range.upperBound
                guard isFine, !axis.isLogarithmic || range.lowerBound > 0 else {
                    throw EvaluationError(
                        .figure, place: "\(figure.name), axis \(axis.label.markup)",
                        message: "the range \(range.lowerBound) to \(range.upperBound) cannot be shown",
                        advice: axis.isLogarithmic ? "a logarithmic axis begins above 0" : "give it some width")
                }
            }
            if panel.ratio != nil {
                let edges = panel.layers.compactMap {
                    if case .histogram(let found, _) = $0 { found.edges } else { nil }
                }
                guard let first = edges.first, edges.allSatisfy({ $0 == first }) else {
                    throw EvaluationError(
                        .figure, place: figure.name, message: "ratios need histograms of the same bins",
                        advice: "make all of a panel's histograms with the same edges")
                }
            }
        }
    }
}
