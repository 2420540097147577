import Evaluation
import Foundation
import Shards
import Support

extension StudyCollection {
    /// Draws the figures, and gathers them with tables in `report.html`; the numbers are in `study.json`.
    /// - Parameter provenance: What else is to be known: the command, versions.
    /// - Returns: The path of the page.
    /// - Throws: What drawing and writing throw.
    @discardableResult
    public func write(into directory: String, title: String, provenance: [(String, String)]) throws -> String {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        try OutputFile.write(Array(encoder.encode(self)), to: directory + "/study.json")
        var sections = [summary]
        let renderer = FigureRenderer(directory: directory)
        for kind in study.configuration.classes {
            guard let comparisons = comparisons[kind.name] else { continue }
            var section = Report.Section(kind.name)
            let figure = try figure(of: kind, comparisons)
            try section.add(figure, renderer.render(figure))
            section.items += Self.metrics.map { .table(points(of: kind, $0)) }
            section.items.append(.table(exponents(of: kind)))
            sections.append(section)
        }
        sections.append(Report.Section("Runs", [.table(runTable)]))
        let path = directory + "/report.html"
        try Report(
            title, sections: sections, provenance: fingerprints.map { ("\($0.0), fingerprint", $0.1) } + provenance
        ).write(to: path)
        return path
    }

    // MARK: figures

    private func figure(of kind: StudyConfiguration.Class, _ comparisons: [Comparison]) throws -> Figure {
        let rows = try comparisons.map { comparison -> [FigurePanel?] in
            let quantity = comparison.quantity, isFirst = quantity == comparisons.first?.quantity
            var panels: [FigurePanel?] = try study.configuration.strategies.map { strategy in
                try distribution(of: quantity, kind, strategy, title: isFirst ? FigureText(strategy.name) : nil)
            }
            for metric in Self.metrics {
                let own = curves.filter {
                    $0.kind == kind.name && $0.observable == quantity.name && $0.metric == metric
                }
                let series = own.map { curve in
                    ScalingSeries(
                        curve.strategy,
                        curve.points.filter(\.value.isFinite).map {
                            ScalingPoint(
                                size: Double($0.size), value: $0.value, error: $0.error.isFinite ? $0.error : nil)
                        }, floor: curve.floor)
                }
                let floor = comparison.reference[metric]
                var panel = FigurePanel.scaling(
                    metric, of: quantity, series,
                    floor: floor.flatMap {
                        $0.percentile16 < $0.percentile84 ? $0.percentile16...$0.percentile84 : nil
                    },
                    title: isFirst ? FigureText(metric.label) : nil)
                // One legend says it for all.
                if !isFirst { panel.legend = nil }
                panels.append(panel)
            }
            return panels
        }
        var figure = Figure(
            "scaling-\(kind.name)",
            caption:
                "\(kind.name): jets that models generate by the size of their training (first seed), and how far they are from the reference "
                + "(filled), in the mean over seeds with its uncertainty. Dashed: power laws; grey band: halves of the reference against each other."
                + (study.configuration.background.map { " Dotted: \($0.name), what the backbone was pre-trained on." }
                    ?? ""),
            rows: rows)
        figure.panelSize = (340, 250)
        return figure
    }

    private func distribution(
        of quantity: Quantity, _ kind: StudyConfiguration.Class, _ strategy: StudyConfiguration.Strategy,
        title: FigureText?
    ) throws -> FigurePanel {
        let truth = NamedEntries(kind.name, references[kind.name]?[quantity.name]?.values ?? [])
        let runs = study.runs.filter {
            $0.kind == kind && $0.strategy == strategy && $0.seed == study.configuration.seeds.first
                && tables[$0.path] != nil
        }
        var others = runs.map {
            NamedEntries("\($0.size) jets", tables[$0.path]?[quantity.name]?.values ?? [])
        }
        let isTuned = strategy.backbone != nil
        if isTuned, let background, let name = study.configuration.background?.name {
            others.append(NamedEntries(name, background[quantity.name]?.values ?? []))
        }
        return try .distribution(
            of: quantity, reference: truth, others: others,
            edges: FigurePanel.usualEdges(of: quantity, truth.values + others.flatMap(\.values)),
            dotted: Set(study.configuration.background.map { [$0.name] } ?? []),
            colors: FigureColor.sequence(runs.count), ratio: nil, title: title)
    }

    // MARK: tables

    private var summary: Report.Section {
        var items: [Report.Item] = []
        if !missing.isEmpty {
            items.append(.text("\(missing.count) runs have not ended: \(missing.prefix(10).joined(separator: ", "))."))
        }
        items.append(.table(comparedStrategies))
        return Report.Section("Which strategy is nearer to the reference", items)
    }

    /// Of each size, observables for which the second strategy is farther from the reference than the first by more than the uncertainty.
    private var comparedStrategies: Report.Table {
        var rows: [[String]] = []
        let strategies = study.configuration.strategies.map(\.name)
        guard let first = strategies.first else { return Report.Table(columns: [], rows: []) }
        for kind in study.configuration.classes {
            for size in study.configuration.sizes.sorted() {
                for second in strategies.dropFirst() {
                    for metric in Self.metrics {
                        var better = 0, worse = 0, alike = 0
                        for observable in study.configuration.observables {
                            func point(_ strategy: String) -> Point? {
                                curves.first {
                                    $0.kind == kind.name && $0.strategy == strategy && $0.observable == observable
                                        && $0.metric == metric
                                }?.points.first { $0.size == size }
                            }
                            guard let a = point(first), let b = point(second) else { continue }
                            let error = (a.error * a.error + b.error * b.error).squareRoot()
                            if b.value - a.value > 2 * error {
                                better += 1
                            } else if a.value - b.value > 2 * error {
                                worse += 1
                            } else {
                                alike += 1
                            }
                        }
                        rows.append([
                            kind.name, String(size), second, metric.label, String(better), String(alike), String(worse),
                        ])
                    }
                }
            }
        }
        return Report.Table(
            "Observables for which '\(first)' is nearer to the reference, both are alike within two standard deviations, or it is farther",
            columns: ["class", "training jets", "against", "metric", "nearer", "alike", "farther"], rows: rows)
    }

    private func points(of kind: StudyConfiguration.Class, _ metric: Metric) -> Report.Table {
        let own = curves.filter { $0.kind == kind.name && $0.metric == metric }
        let sizes = study.configuration.sizes.sorted()
        return Report.Table(
            "\(metric.label): mean over seeds ± its uncertainty (bootstrap and seeds in quadrature); floor: halves of the reference",
            columns: ["observable", "strategy"] + sizes.map { "\($0) jets" } + ["floor"],
            rows: own.map { curve in
                [curve.observable, curve.strategy]
                    + sizes.map { size in
                        curve.points.first { $0.size == size }.map { Self.text($0.value, $0.error) } ?? ""
                    } + [Self.text(curve.floor, .nan)]
            })
    }

    private func exponents(of kind: StudyConfiguration.Class) -> Report.Table {
        Report.Table(
            "Power laws A N^(-gamma); errors of gamma from the scatter of the points, which tells little for three",
            columns: ["observable", "metric", "strategy", "gamma", "A", "sizes used", "left out as saturated"],
            rows: curves.filter { $0.kind == kind.name }.map { curve in
                guard let law = curve.law else {
                    return [curve.observable, curve.metric.label, curve.strategy, "no fit", "", "", ""]
                }
                return [
                    curve.observable, curve.metric.label, curve.strategy, Self.text(law.exponent, law.exponentError),
                    Self.text(law.amplitude, .nan), String(law.used), String(law.saturated),
                ]
            })
    }

    private var runTable: Report.Table {
        Report.Table(
            "Steps of the optimizer, the step whose state generated (lowest validation loss), and jets",
            columns: ["run", "steps", "best step", "validation loss", "generated", "without constituents"],
            rows: study.runs.compactMap { run in
                results[run.path].map { result in
                    [
                        run.path, String(result.steps), String(result.bestStep),
                        result.validationLoss.map { Self.text($0, .nan) } ?? "", String(result.generated),
                        String(result.empty),
                    ]
                }
            })
    }

    private static func text(_ value: Double, _ error: Double) -> String {
        guard value.isFinite else { return "\(value)" }
        guard error.isFinite, error > 0 else { return String(format: "%.4g", value) }
        let digits = min(12, max(0, 1 - Int(log10(error).rounded(.down))))
        return String(format: "%.\(digits)f ± %.\(digits)f", value, error)
    }
}
