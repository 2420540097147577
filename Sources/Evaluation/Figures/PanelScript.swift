import Foundation

/// The commands that draw one panel, and its table.
struct PanelScript {
    let table: String
    private(set) var data = FigureTable()
    private let panel: FigurePanel
    private let fontSize: Double
    private let canvas: (width: Double, height: Double)
    /// The plot between the axes, in pixels from the left and the top.
    private let plot: (left: Double, right: Double, top: Double, bottom: Double)
    private let ratioHeight: Double
    private let xRange: ClosedRange<Double>
    private let yRange: ClosedRange<Double>

    init(
        _ panel: FigurePanel, table: String, left: Double, top: Double, cell: (width: Double, height: Double),
        canvas: (width: Double, height: Double), fontSize: Double
    ) {
        (self.panel, self.table, self.canvas, self.fontSize) = (panel, table, canvas, fontSize)
        let hasHeatMap = panel.layers.contains { if case .heatMap = $0 { true } else { false } }
        let above = panel.title == nil ? 0.9 * fontSize : 2.3 * fontSize
        plot = (
            left + 5.6 * fontSize, left + cell.width - (hasHeatMap ? 7 : 1.5) * fontSize, top + above,
            top + cell.height - 4 * fontSize
        )
        let height = plot.bottom - plot.top
        ratioHeight = panel.ratio == nil ? 0 : 0.26 * height
        let names = Double(panel.legend == nil ? 0 : panel.layers.count { $0.style?.name != nil })
        let share = min(0.45, (names * 1.25 * fontSize + 0.6 * fontSize) / max(1, height - ratioHeight))
        let isHistogram = panel.layers.contains { if case .histogram = $0 { true } else { false } }
        let isAbove = panel.legend == .topRight || panel.legend == .topLeft
        let room = isAbove && names > 0 ? share / (1 - share) : 0.08
        (xRange, yRange) = (
            panel.x.xRange(of: panel.layers),
            panel.y.range(of: panel.layers.flatMap(\.heights), room: room, fromZero: isHistogram)
        )
    }

    mutating func commands() -> [String] {
        let upper = plot.bottom - ratioHeight - (ratioHeight > 0 ? 0.7 * fontSize : 0)
        var lines = frame(top: plot.top, bottom: upper, range: yRange, axis: panel.y, showsX: ratioHeight == 0)
        lines += panel.title.map { ["set title \($0.quoted) offset 0,-0.6"] } ?? ["unset title"]
        if let legend = panel.legend {
            lines.append(
                "set key \(legend.rawValue) Left reverse samplen 1.8 spacing spacing width 1 noautotitle")
        } else {
            lines.append("unset key")
        }
        lines.append("unset object")
        var plots: [String] = [], histograms: [Drawn] = []
        for layer in panel.layers {
            switch layer {
            case .histogram(let histogram, let style):
                let drawn = add(histogram, style)
                plots += steps(drawn)
                histograms.append(drawn)
            case .points(let points, let style): plots += draw(points, style)
            case .curve(let points, let style): plots += line(points, style)
            case .band(let range, let style):
                lines.append(
                    "set object rectangle from graph 0, first \(number(range.lowerBound)) to graph 1, first "
                        + "\(number(range.upperBound)) behind fc rgb '\(style.color.hex)' fs solid 0.18 noborder")
                if let name = style.name {
                    plots.append(
                        "keyentry with boxes fs solid 0.18 noborder fc rgb '\(style.color.hex)' title \(name.quoted)")
                }
            case .heatMap(let map, let label, let isLogarithmic):
                lines += colorBox(map, label, isLogarithmic)
                plots.append(draw(map))
            }
        }
        // An empty panel has axes all the same.
        lines.append("plot " + (plots.isEmpty ? "1/0 notitle" : plots.joined(separator: ", \\\n     ")))
        if let ratio = panel.ratio, let first = histograms.first {
            lines += ["unset title", "unset key", "unset object"]
            lines += frame(
                top: plot.bottom - ratioHeight, bottom: plot.bottom, range: ratio.range,
                axis: Axis(ratio.label, range: ratio.range), showsX: true)
            lines.append(Self.innerTicks(ratio.range))
            lines.append("plot " + ratios(histograms, to: first).joined(separator: ", \\\n     "))
        }
        return lines
    }

    // MARK: Axes

    private func frame(
        top: Double, bottom: Double, range: ClosedRange<Double>, axis: Axis, showsX: Bool
    ) -> [String] {
        func share(_ pixels: Double, of all: Double) -> String { Axis.text((pixels / all * 1e6).rounded() / 1e6) }
        var lines = [
            "set lmargin at screen \(share(plot.left, of: canvas.width))",
            "set rmargin at screen \(share(plot.right, of: canvas.width))",
            "set tmargin at screen \(share(canvas.height - top, of: canvas.height))",
            "set bmargin at screen \(share(canvas.height - bottom, of: canvas.height))",
            "\(panel.x.isLogarithmic ? "set" : "unset") logscale x",
            "\(axis.isLogarithmic ? "set" : "unset") logscale y",
            "set xrange [\(number(xRange.lowerBound)):\(number(xRange.upperBound))]",
            "set yrange [\(number(range.lowerBound)):\(number(range.upperBound))]",
            // Labels of the axes themselves would lie at another place for each width of the numbers and each format.
            showsX
                ? "set label 2 \(panel.x.title.quoted) at screen \(share((plot.left + plot.right) / 2, of: canvas.width)), screen "
                    + "\(share(canvas.height - bottom - 2.9 * fontSize, of: canvas.height)) center" : "unset label 2",
            "set label 1 \(axis.title.quoted) at screen \(share(plot.left - 4.5 * fontSize, of: canvas.width)), screen "
                + "\(share(canvas.height - (top + bottom) / 2, of: canvas.height)) center rotate by 90",
        ]
        lines += panel.x.ticks(
            "x", xRange, pixels: plot.right - plot.left, spacing: 5 * fontSize, hidden: !showsX)
        lines += axis.ticks("y", range, pixels: bottom - top, spacing: 2.6 * fontSize, hidden: false)
        return lines
    }

    /// Ticks of the ratio, but none at its upper end, whose number would meet that of the panel above.
    private static func innerTicks(_ range: ClosedRange<Double>) -> String {
        let (step, _) = Axis.step((range.upperBound - range.lowerBound) / 3)
        let first = (range.lowerBound / step).rounded(.up),
            last = ((range.upperBound - 0.15 * step) / step).rounded(.down)
        guard first <= last else { return "set ytics 1 nomirror" }
        return "set ytics \(Axis.text(first * step)),\(Axis.text(step)),\(Axis.text(last * step)) nomirror"
    }

    private func colorBox(_ map: HeatMap, _ label: FigureText, _ isLogarithmic: Bool) -> [String] {
        let most = Double(max(1, map.counts.max() ?? 1))
        return [
            // Viridis (Smith and van der Walt 2015) in nine steps: even in lightness, and safe for any colour vision.
            "set palette defined (0 '#440154', 1 '#472C7A', 2 '#3B518B', 3 '#2C718E', 4 '#21908D', 5 '#27AD81', 6 '#5CC863', 7 '#AADC32', 8 '#FDE725')",
            "\(isLogarithmic ? "set" : "unset") logscale cb", "set cblabel \(label.quoted) offset 0.6,0",
            "set cbrange [\(isLogarithmic ? "0.8" : "0"):\(number(most))]",
            "set format cb '\(isLogarithmic ? "10^{%L}" : "%h")'",
            "set colorbox user origin screen "
                + "\(number((plot.right + 0.8 * fontSize) / canvas.width)),\(number(1 - plot.bottom / canvas.height)) "
                + "size screen \(number(fontSize / canvas.width)),\(number((plot.bottom - plot.top) / canvas.height))",
        ]
    }

    private func number(_ value: Double) -> String { Axis.text(value) }

    // MARK: Histograms

    /// Where a histogram's numbers are.
    private struct Drawn {
        var histogram: Histogram
        var style: FigureStyle
        var low: Int
        var high: Int
        var density: Int
        var error: Int
    }

    private mutating func add(_ histogram: Histogram, _ style: FigureStyle) -> Drawn {
        let name = style.name?.plain ?? "histogram \(data.count)", density = histogram.density
        // The last row repeats the last bin at its upper edge, where the steps end.
        let values = density.map(\.value), last = values.last.map { [$0] } ?? []
        return Drawn(
            histogram: histogram, style: style, low: data.add("\(name): bin from", histogram.edges),
            high: data.add("\(name): bin to", Array(histogram.edges.dropFirst())),
            density: data.add("\(name): density", values + last),
            error: data.add("\(name): error", density.map(\.error)))
    }

    /// Heights at or below 0 have no place on a logarithmic axis; they go to its lower end.
    private func height(_ expression: String) -> String {
        guard panel.y.isLogarithmic else { return "(\(expression))" }
        return "(\(expression) > \(number(yRange.lowerBound)) ? \(expression) : \(number(yRange.lowerBound)))"
    }

    private func steps(_ drawn: Drawn) -> [String] {
        let style = drawn.style, color = "lc rgb '\(style.color.hex)'", y = height("$\(drawn.density)")
        let title = style.name.map { "title \($0.quoted)" } ?? "notitle"
        var plots: [String] = []
        if style.isFilled {
            // The border closes the seams between bins, which else shine through.
            let shade = style.color.lightened(0.28)
            plots.append(
                "'\(table)' using \(drawn.low):\(y) with fillsteps fs solid 1 border lc rgb '\(shade)' lc rgb '\(shade)' lw 0.6 \(title)"
            )
        }
        if style.hasBand {
            let (low, high) = (height("$\(drawn.density)-$\(drawn.error)"), height("$\(drawn.density)+$\(drawn.error)"))
            plots.append(
                "'\(table)' using (($\(drawn.low)+$\(drawn.high))/2):\(y):\(drawn.low):\(drawn.high):\(low):\(high) "
                    + "with boxxyerror fs transparent solid 0.25 noborder \(color) notitle")
        }
        if style.line != .none {
            plots.append(
                "'\(table)' using \(drawn.low):\(y) with steps \(color) lw \(style.isFilled ? "1" : "1.6") \(style.line.pattern) "
                    + (style.isFilled ? "notitle" : title))
        }
        return plots
    }

    private mutating func ratios(_ histograms: [Drawn], to first: Drawn) -> [String] {
        let relative = zip(first.histogram.counts, first.histogram.density).map {
            $0 > 0 ? $1.error / $1.value : .nan
        }
        let own = data.add("\(first.style.name?.plain ?? "reference"): relative error", relative)
        func band(_ drawn: Drawn, _ middle: String, _ error: Int, _ shade: String) -> String {
            "'\(table)' using (($\(drawn.low)+$\(drawn.high))/2):(\(middle)):\(drawn.low):\(drawn.high):"
                + "(\(middle)-$\(error)):(\(middle)+$\(error)) with boxxyerror fs transparent solid \(shade) noborder "
                + "lc rgb '\(drawn.style.color.hex)'"
        }
        var plots = [band(first, "1", own, "0.28"), "1 with lines dt (8,5) lw 1 lc rgb '#444444'"]
        for drawn in histograms.dropFirst() {
            let ratio = drawn.histogram.ratio(to: first.histogram), name = drawn.style.name?.plain ?? "ratio"
            let values = ratio.map(\.value)
            let value = data.add("\(name): ratio", values + (values.last.map { [$0] } ?? []))
            let error = data.add("\(name): error of ratio", ratio.map(\.error))
            if drawn.style.line != .dotted { plots.append(band(drawn, "$\(value)", error, "0.18")) }
            plots.append(
                "'\(table)' using \(drawn.low):\(value) with steps lc rgb '\(drawn.style.color.hex)' lw 1.6 \(drawn.style.line.pattern)"
            )
        }
        return plots
    }

    // MARK: Points and maps

    private mutating func draw(_ points: [FigurePoint], _ style: FigureStyle) -> [String] {
        let name = style.name?.plain ?? "points \(data.count)", color = "lc rgb '\(style.color.hex)'"
        let x = data.add("\(name): x", points.map(\.x)), y = data.add("\(name): y", points.map(\.y))
        let low = data.add("\(name): low", points.map(\.low)), high = data.add("\(name): high", points.map(\.high))
        var plots: [String] = []
        if style.hasBand {
            plots.append(
                "'\(table)' using \(x):\(height("$\(low)")):\(height("$\(high)")) with filledcurves "
                    + "fs transparent solid 0.2 noborder \(color) notitle")
        } else if points.contains(where: { $0.low != $0.high }) {
            plots.append(
                "'\(table)' using \(x):\(y):\(height("$\(low)")):\(height("$\(high)")) with yerrorbars pt -1 lw 1.2 \(color) notitle"
            )
        }
        let title = style.name.map { "title \($0.quoted)" } ?? "notitle"
        let line = style.line == .none ? "points" : style.hasMarks ? "linespoints" : "lines"
        let mark = style.hasMarks || style.line == .none ? " pt 7 ps 0.55" : ""
        let pattern = style.line == .none ? "" : " lw 1.6 \(style.line.pattern)"
        plots.append("'\(table)' using \(x):\(y) with \(line)\(mark)\(pattern) \(color) \(title)")
        return plots
    }

    private mutating func line(_ points: [FigurePoint], _ style: FigureStyle) -> [String] {
        let name = style.name?.plain ?? "curve \(data.count)"
        let x = data.add("\(name): x", points.map(\.x)), y = data.add("\(name): y", points.map(\.y))
        let title = style.name.map { "title \($0.quoted)" } ?? "notitle"
        return [
            "'\(table)' using \(x):\(y) with lines lw 1.4 \(style.line.pattern) lc rgb '\(style.color.hex)' \(title)"
        ]
    }

    private mutating func draw(_ map: HeatMap) -> String {
        func middles(_ range: ClosedRange<Double>, _ bins: Int) -> [Double] {
            let width = (range.upperBound - range.lowerBound) / Double(bins)
            return (0..<bins).map { range.lowerBound + (Double($0) + 0.5) * width }
        }
        let x = middles(map.x, map.bins.x), y = middles(map.y, map.bins.y)
        let columns = (
            data.add("x", map.counts.indices.map { x[$0 % map.bins.x] }),
            data.add("y", map.counts.indices.map { y[$0 / map.bins.x] }),
            data.add("count", map.counts.map(Double.init))
        )
        return "'\(table)' using \(columns.0):\(columns.1):($\(columns.2) > 0 ? $\(columns.2) : NaN) with image notitle"
    }
}

extension FigureLayer {
    /// How it is drawn, if it has a style.
    var style: FigureStyle? {
        switch self {
        case .histogram(_, let style), .points(_, let style), .curve(_, let style), .band(_, let style): style
        case .heatMap: nil
        }
    }

    /// What the vertical axis must hold.
    var heights: [Double] {
        switch self {
        case .histogram(let histogram, _): histogram.density.map(\.value)
        case .points(let points, _): points.flatMap { $0.low > 0 ? [$0.y, $0.low, $0.high] : [$0.y, $0.high] }
        case .curve(let points, _): points.map(\.y)
        case .band(let range, _): [range.lowerBound, range.upperBound]
        case .heatMap(let map, _, _): [map.y.lowerBound, map.y.upperBound]
        }
    }
}

extension Axis {
    /// What a horizontal axis must hold: all bins as they are, points with some room.
    func xRange(of layers: [FigureLayer]) -> ClosedRange<Double> {
        if let range { return range }
        let edges = layers.flatMap { layer -> [Double] in
            switch layer {
            case .histogram(let histogram, _): histogram.edges
            case .heatMap(let map, _, _): [map.x.lowerBound, map.x.upperBound]
            default: []
            }
        }.filter { !isLogarithmic || $0 > 0 }
        if let low = edges.min(), let high = edges.max(), low < high { return low...high }
        return range(
            of: layers.flatMap { layer -> [Double] in
                switch layer {
                case .points(let points, _), .curve(let points, _): points.map(\.x)
                default: []
                }
            })
    }
}
