import Evaluation
import Foundation
import TestSupport
import Testing

/// A figure of every kind of panel.
private func everything(_ name: String = "all") throws -> Figure {
    var drawn = Drawn(31)
    let mass = Quantity("jet_mass", symbol: "{/:Italic m}", unit: "GeV"), edges = Histogram.edges(0...200, bins: 20)
    func histogram(_ count: Int, _ mean: Double) throws -> Histogram {
        try Histogram(drawn.normal(count, mean: mean, width: 40), edges: edges, clipping: true)
    }
    let distributions = FigurePanel(
        "title_1", x: .of(mass), y: .density(of: mass, isLogarithmic: true),
        layers: [
            .histogram(try histogram(4000, 90), .reference("truth")),
            .histogram(try histogram(1000, 100), FigureStyle("it's \\ 50% {a}_b `id` $x", color: .blue, hasBand: true)),
            .histogram(try histogram(900, 80), FigureStyle("dotted, \"quoted\"", color: .black, line: .dotted)),
        ], ratio: RatioPanel("ratio", range: 0...2))
    let points = [2.0, 3, 4, 5].map { FigurePoint(pow(10, $0), pow(10, -0.3 * $0), error: 0.01) }
    let scaling = FigurePanel(
        x: Axis("training jets", isLogarithmic: true), y: Axis("KL", isLogarithmic: true),
        layers: [
            .band(0.01...0.02, FigureStyle("floor", color: .grey)),
            .curve([points[0], points[3]], FigureStyle(color: .blue, line: .dashed)),
            .points(points, FigureStyle("tuned", color: .blue, hasMarks: true, hasBand: true)),
            .points(
                [FigurePoint(100, .nan), FigurePoint(1000, .infinity), points[2]], FigureStyle("one", color: .orange)),
        ])
    var map = try HeatMap(x: -1...1, y: -1...1, bins: (8, 6))
    map.add(drawn.normal(300), drawn.normal(300))
    let occupancy = FigurePanel(
        x: Axis("eta"), y: Axis("phi"), layers: [.heatMap(map, label: "jets", isLogarithmic: true)], legend: nil)
    let bars = FigurePanel(
        x: Axis("x"), y: Axis("y"), layers: [.points(points, FigureStyle("bars", color: .green, line: .none))],
        legend: .bottomLeft)
    return Figure(name, caption: "all <kinds>", rows: [[distributions, scaling], [occupancy, nil], [bars]])
}

private let hasGnuplot = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    .contains { FileManager.default.isExecutableFile(atPath: "\($0)/gnuplot") }

private func failure(_ body: () throws -> Void) -> EvaluationError? {
    do { try body() } catch { return error as? EvaluationError }
    return nil
}

@Suite("Figures")
struct FigureTests {
    @Test("all kinds of panels are drawn without a complaint, twice with the same bytes", .enabled(if: hasGnuplot))
    func drawing() throws {
        let first = try TemporaryDirectory(), second = try TemporaryDirectory()
        let files = try FigureRenderer(directory: first.path).render(try everything())
        try FigureRenderer(directory: second.path).render(try everything())
        let bytes = try contents(of: first.path)
        #expect(bytes == (try contents(of: second.path)))
        #expect(
            bytes.keys.sorted() == [
                "all.1-1.csv", "all.1-2.csv", "all.2-1.csv", "all.3-1.csv", "all.gp", "all.png", "all.svg",
            ])
        #expect(files.tables.count == 4)
        #expect(try #require(bytes["all.png"]).starts(with: [0x89, 0x50, 0x4e, 0x47]))
        // Names are shown as they are, and nothing of them was run.
        let svg = String(decoding: try #require(bytes["all.svg"]), as: UTF8.self)
        let texts = svg.replacingOccurrences(of: "<[^>]*>", with: "", options: .regularExpression)
        for text in ["title_1", "it's \\ 50% {a}_b `id` $x", "training jets", "jets", "[1/GeV]"] {
            #expect(texts.replacingOccurrences(of: "&#39;", with: "'").contains(text), "\(text)")
        }
        // The script is all that is needed: it draws the same from where the files are now.
        let moved = first.path + "-moved"
        try FileManager.default.moveItem(atPath: first.path, toPath: moved)
        defer { try? FileManager.default.removeItem(atPath: moved) }
        try FileManager.default.removeItem(atPath: moved + "/all.svg")
        let again = try Run(program: "/bin/sh", ["-c", "cd '\(moved)' && exec gnuplot all.gp"])
        #expect(again.status == 0 && again.errors.isEmpty, "\(again.errors)")
        #expect(try Data(contentsOf: URL(fileURLWithPath: moved + "/all.svg")) == bytes["all.svg"])
    }

    @Test("without gnuplot the error says what to install, and script and tables are there")
    func withoutGnuplot() throws {
        let directory = try TemporaryDirectory()
        let renderer = FigureRenderer(directory: directory.path, gnuplot: "/no/such/gnuplot")
        let error = failure { try renderer.render(try everything()) }
        #expect(error?.code == .gnuplot && error?.description.contains("apt-get install gnuplot-nox") == true)
        #expect(try contents(of: directory.path).keys.sorted().contains("all.gp"))
        #expect(try contents(of: directory.path).count == 5)
    }

    @Test("a program that fails, or draws nothing, is an error with its words")
    func failing() throws {
        let directory = try TemporaryDirectory()
        for (text, words) in [("echo out of paper >&2; exit 3", "out of paper"), ("exit 0", "no picture")] {
            let path = directory.file("gnuplot")
            try "#!/bin/sh\n\(text)\n".write(toFile: path, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
            let error = failure {
                try FigureRenderer(directory: directory.path, gnuplot: path).render(try everything())
            }
            #expect(error?.code == .gnuplot && error?.description.contains(words) == true)
        }
    }

    @Test("tables hold the numbers that are drawn, with all their digits")
    func tables() throws {
        let directory = try TemporaryDirectory(), value = 0.1 + 0.2
        let edges: [Double] = [0, 1, 3]
        let figure = Figure(
            "one",
            panel: FigurePanel(
                x: Axis("x"), y: Axis("y"),
                layers: [
                    .histogram(try Histogram([0.5, 0.5, 2, 7], edges: edges, clipping: true), .reference("a, \"b\"")),
                    .points(
                        [FigurePoint(1, value, error: 0.5)],
                        FigureStyle(FigureText(markup: "10^{2} jets"), color: .blue)),
                ]))
        _ = failure { try FigureRenderer(directory: directory.path, gnuplot: "/none").render(figure) }
        let table = try String(contentsOfFile: directory.file("one.csv"), encoding: .utf8)
        let lines = table.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        #expect(lines.count == 5 && lines[4].isEmpty)
        #expect(lines[0].hasPrefix(#""a, ""b"": bin from","a, ""b"": bin to","#))
        #expect(lines[0].contains(",10^2 jets: x,10^2 jets: y,"))
        // Two of four entries in a bin of width 1, two of width 2; the last row closes the steps.
        #expect(
            lines[1].hasPrefix("0,1,0.5,0.35355339059327")
                && lines[1].hasSuffix(",1,\(value),\(value - 0.5),\(value + 0.5)"))
        #expect(lines[2].hasPrefix("1,3,0.25,"))
        #expect(lines[3].hasPrefix("3,,0.25,"))
    }

    @Test("histograms count what lies outside, or clip it, and count what is not finite")
    func histograms() throws {
        let values: [Double] = [-5, 0, 0.5, 1, 2, 2.5, .nan, .infinity, 9, 9]
        let plain = try Histogram(values, edges: [0, 1, 2]),
            clipped = try Histogram(values, edges: [0, 1, 2], clipping: true)
        #expect(plain.counts == [2, 2] && plain.outside == (1, 3) && plain.notFinite == 2 && plain.total == 8)
        #expect(clipped.counts == [3, 5] && clipped.outside == (0, 0) && clipped.total == 8)
        #expect(plain.density.map(\.value) == [0.25, 0.25])
        #expect(Histogram.integerEdges(0...2) == [-0.5, 0.5, 1.5, 2.5])
        #expect(Histogram.edges(0...1, bins: 4) == [0, 0.25, 0.5, 0.75, 1])
        for edges in [[1.0], [1, 1], [2, 1], [0, .nan], [0, .infinity]] {
            #expect(failure { _ = try Histogram([1], edges: edges) }?.code == .figure)
        }
        #expect(failure { _ = try HeatMap(x: 0...1, y: 0...0, bins: (2, 2)) }?.code == .figure)
        #expect(failure { _ = try HeatMap(x: 0...1, y: 0...1, bins: (0, 2)) }?.code == .figure)
    }

    @Test("figures that cannot be drawn as described are refused by name")
    func refused() throws {
        let directory = try TemporaryDirectory(), renderer = FigureRenderer(directory: directory.path)
        let panel = FigurePanel(
            x: Axis("x"), y: Axis("y"), layers: [.points([FigurePoint(1, 1)], FigureStyle(color: .blue))])
        func code(_ figure: Figure) -> EvaluationFailure? { failure { try renderer.render(figure) }?.code }
        for name in ["", "a/b", "../a", ".a", "a'b", "a\nb", "ä"] {
            #expect(code(Figure(name, panel: panel)) == .figure)
        }
        #expect(code(Figure("a", rows: [[nil]])) == .figure && code(Figure("a", rows: [])) == .figure)
        var odd = panel
        odd.x = Axis("x", isLogarithmic: true, range: 0...1)
        #expect(code(Figure("a", panel: odd)) == .figure)
        odd.x = Axis("x", range: 1...1)
        #expect(code(Figure("a", panel: odd)) == .figure)
        odd = panel
        odd.ratio = RatioPanel()
        #expect(code(Figure("a", panel: odd)) == .figure)
        odd.layers = try [[0.0, 1], [0.0, 2]].map { .histogram(try Histogram([0.5], edges: $0), .reference("r")) }
        #expect(code(Figure("a", panel: odd)) == .figure)
        #expect(try contents(of: directory.path).isEmpty)
    }

    @Test("an empty panel, one point and equal points are drawn", .enabled(if: hasGnuplot), arguments: [false, true])
    func degenerate(isLogarithmic: Bool) throws {
        let directory = try TemporaryDirectory()
        let axis = Axis("x", isLogarithmic: isLogarithmic)
        for (number, points) in [[], [FigurePoint(3, 3)], [FigurePoint(3, 3), FigurePoint(3, 3)], [FigurePoint(0, 0)]]
            .enumerated()
        {
            let layers: [FigureLayer] = points.isEmpty ? [] : [.points(points, FigureStyle("p", color: .blue))]
            try FigureRenderer(directory: directory.path).render(
                Figure("f\(number)", panel: FigurePanel(x: axis, y: axis, layers: layers)))
        }
        let empty = try Histogram([], edges: [1, 2])
        try FigureRenderer(directory: directory.path).render(
            Figure(
                "empty",
                panel: FigurePanel(
                    x: axis, y: axis, layers: [.histogram(empty, .reference("none"))], ratio: RatioPanel())))
    }
}

@Suite("The report")
struct ReportTests {
    @Test("it is one file with figures, tables and provenance, and text stays text", .enabled(if: hasGnuplot))
    func page() throws {
        let directory = try TemporaryDirectory(), figure = try everything()
        let files = try FigureRenderer(directory: directory.path).render(figure)
        var drawn = Drawn(41)
        let comparison = try Comparison(
            Quantity("jet_pt", unit: "GeV"),
            reference: NamedEntries("<b>truth</b>", drawn.normal(3000, mean: 500, width: 50)),
            others: [NamedEntries("model & \"co\"", drawn.normal(2000, mean: 510, width: 50) + [.nan])])
        var section = Report.Section("Section <1>", [.text("a < b"), .table(comparison.table)])
        try section.add(figure, files)
        try section.add(figure, files)
        let report = Report(
            "A report", sections: [section],
            provenance: [("command", "pando compare 'x' </code>"), ("fingerprint", "8f3a")])
        try report.write(to: directory.file("report.html"))
        let html = try String(contentsOfFile: directory.file("report.html"), encoding: .utf8)
        #expect(html == (try report.html()))
        for text in [
            "&lt;b&gt;truth&lt;/b&gt;", "model &amp; &quot;co&quot;", "Section &lt;1&gt;", "&lt;/code&gt;",
            "all &lt;kinds&gt;",
        ] {
            #expect(html.contains(text), "\(text)")
        }
        #expect(!html.contains("<b>truth") && !html.contains("<script") && !html.contains("<?xml"))
        #expect(html.components(separatedBy: "<svg").count == 3 && html.contains("prefers-color-scheme: dark"))
        // Every name is there once, and every reference leads to a name of the same picture.
        func found(_ pattern: String) throws -> [String] {
            let expression = try NSRegularExpression(pattern: pattern)
            return expression.matches(in: html, range: NSRange(html.startIndex..., in: html))
                .compactMap { Range($0.range(at: 1), in: html).map { String(html[$0]) } }
        }
        let names = try found("\\sid=[\"']([^\"']*)"), links = try found("href=[\"']#([^\"']*)")
        #expect(Set(names).count == names.count && names.count > 20)
        #expect(!links.isEmpty && Set(links).isSubset(of: Set(names)))
        // Nothing is fetched: no address but those that are names of languages.
        let addresses = try found("(https?://[^\"' ]*)")
        #expect(Set(addresses).isSubset(of: ["http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"]))
        // 2,000 of 2,001 entries, and the metrics with their errors.
        #expect(html.contains("<td class=\"number\">2000</td><td class=\"number\">1</td>"))
        #expect(comparison.table.rows.count == 2 && comparison.table.columns.last == "W1 [GeV]")
        #expect(comparison.table.rows[0].last?.contains(" ± ") == true)
    }

    @Test(
        "pictures that would run or fetch something are refused",
        arguments: [
            "no picture", "<svg><script>alert(1)</script></svg>", "<svg><image href=\"http://x/y.png\"/></svg>",
            "<svg><a xlink:href='javascript:alert(1)'>x</a></svg>", "<svg><foreignObject/></svg>",
        ])
    func pictures(_ svg: String) {
        let report = Report("r", sections: [Report.Section("s", [.figure(svg: svg, caption: "", sources: [])])])
        #expect(failure { _ = try report.html() }?.code == .figure)
    }

    @Test("numbers are printed to the second digit of their errors")
    func numbers() {
        func text(_ value: Double, _ error: Double) -> String {
            var number = MetricValue(value)
            number.error = error
            return number.text
        }
        #expect(text(0.031234, 0.00162) == "0.0312 ± 0.0016")
        #expect(text(12.3456, 1.2) == "12.3 ± 1.2")
        #expect(text(1234.5, 123) == "1234 ± 123" || text(1234.5, 123) == "1.234e+03 ± 123")
        #expect(text(.infinity, .nan) == "inf" && text(.nan, .nan) == "nan" && text(0.5, .infinity) == "0.5 ± ∞")
        #expect(text(0.12345678, .nan) == "0.1235")
    }
}

@Suite("Panels of studies")
struct StudyPanelTests {
    @Test("a distribution has the reference filled and first, and data dotted")
    func distribution() throws {
        var drawn = Drawn(51)
        let mass = Quantity("jet_mass", unit: "GeV"),
            truth = NamedEntries("truth", drawn.normal(1000, mean: 100, width: 20))
        let others = ["AOJ", "tuned", "scratch"].map { NamedEntries($0, drawn.normal(500, mean: 90, width: 20)) }
        let panel = try FigurePanel.distribution(of: mass, reference: truth, others: others, dotted: ["AOJ"])
        var styles: [FigureStyle] = [], totals: [Int] = []
        for layer in panel.layers {
            guard case .histogram(let histogram, let style) = layer else { continue }
            styles.append(style)
            totals.append(histogram.counts.reduce(0, +))
        }
        #expect(styles.map { $0.name?.plain } == ["truth", "AOJ", "tuned", "scratch"])
        #expect(styles.map(\.isFilled) == [true, false, false, false] && styles[1].line == .dotted)
        #expect(styles[2].color == .blue && styles[3].color == .vermillion)
        // What lies outside is in the first and the last bin.
        #expect(totals == [1000, 500, 500, 500] && panel.ratio != nil)
    }

    @Test("usual bins hold nearly all entries, between round numbers, and part no whole number")
    func edges() throws {
        var drawn = Drawn(52)
        let values = drawn.normal(5000, mean: 500, width: 30) + [.nan, 1e9]
        let edges = FigurePanel.usualEdges(of: Quantity("jet_pt"), values)
        #expect(edges.count == 51 && edges[0] < 420 && edges[50] > 580 && edges[50] < 700)
        #expect(edges[0].truncatingRemainder(dividingBy: 10) == 0 && edges[50].truncatingRemainder(dividingBy: 10) == 0)
        let whole = FigurePanel.usualEdges(of: Quantity("n", isInteger: true), values.map { $0.rounded() })
        // Between whole numbers, equally wide, and not too many of them; few numbers have a bin each.
        #expect(whole.allSatisfy { $0 - $0.rounded(.down) == 0.5 } && whole.count <= 62)
        let steps = Set(zip(whole, whole.dropFirst()).map { $1 - $0 })
        #expect(steps.count == 1 && steps.first.map { $0 > 1 && $0 == $0.rounded() } == true)
        let few = FigurePanel.usualEdges(of: Quantity("n", isInteger: true), (0..<400).map { Double($0 % 40) })
        #expect(few == (0...40).map { Double($0) - 0.5 })
        for odd in [[], [.nan], [3], [3, 3]] {
            for isInteger in [false, true] {
                let edges = FigurePanel.usualEdges(of: Quantity("x", isInteger: isInteger), odd)
                #expect(edges.count == 2 && edges[0] < edges[1], "\(odd)")
            }
        }
    }

    @Test("a scaling panel has the law over the sizes it was fitted to; sizes without a finite metric are named")
    func scaling() throws {
        func row(_ value: Double) -> Comparison.Row {
            var number = MetricValue(value)
            number.error = value / 10
            return Comparison.Row(name: "r", count: 1, dropped: 0, mean: 0, metrics: ["kl": number])
        }
        let values = [(10.0, Double.infinity), (100, 1), (1000, 0.5), (10_000, 0.25), (100_000, 0.25), (1e6, 0.26)]
        let found = ScalingSeries.points(.kl, of: values.map { (size: $0.0, row: row($0.1)) })
        #expect(found.missing == [10] && found.points.count == 5 && found.points[0].error == 0.1)
        let series = ScalingSeries("fine-tuned", found.points)
        #expect(series.law?.saturated == 2 && series.law?.sizes == 100...10_000)
        #expect(agree(try #require(series.law).exponent, log10(2), relative: 1e-12))
        #expect(ScalingSeries("short", Array(found.points.prefix(2))).law == nil)
        let panel = FigurePanel.scaling(.wasserstein, of: Quantity("m", unit: "GeV"), [series], floor: 0.1...0.2)
        #expect(panel.layers.count == 3 && panel.x.isLogarithmic && panel.y.isLogarithmic && panel.y.unit == "GeV")
        guard case .curve(let ends, let style) = panel.layers[1] else { throw Missing() }
        #expect(ends.map(\.x) == [100, 10_000] && style.line == .dashed && style.name == nil)
    }

    private struct Missing: Error {}
}
