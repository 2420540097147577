import Foundation
import Support

extension DatasetComparison {
    /// Metrics of all observables: a row for each observable and dataset.
    public func table(_ metrics: [Metric] = [.kl, .wasserstein]) -> Report.Table {
        var rows: [[String]] = []
        for comparison in comparisons {
            let unit = comparison.quantity.unit
            for row in comparison.others {
                rows.append(
                    [comparison.quantity.name, row.name, String(row.count), String(row.dropped)]
                        + metrics.map { row[$0]?.text ?? "" }
                        + metrics.map { comparison.reference[$0].map { MetricValue.text($0.value) } ?? "" } + [unit])
            }
        }
        return Report.Table(
            "Against \(reference.name); errors are widths of the bootstrap, floors medians between halves of the reference",
            columns: ["observable", "dataset", "jets", "not defined"] + metrics.map(\.label)
                + metrics.map { "floor of \($0.label)" } + ["unit of W1"], rows: rows)
    }

    /// What the datasets are.
    public var datasetTable: Report.Table {
        Report.Table(
            "Datasets",
            columns: ["dataset", "jets", "without constituents", "fewer than 3", "not finite", "jets of", "made by"],
            rows: all.map { jets in
                let counts = jets.table.counts
                return [
                    jets.name, String(jets.table.rows), String(counts.empty), String(counts.fewerThanThree),
                    String(counts.notFinite), jets.origin, jets.provenance,
                ]
            })
    }

    /// Draws all figures into a directory and gathers them with the tables in `report.html` there.
    /// - Parameters:
    ///   - provenance: What else is to be known: the command, versions.
    ///   - progress: Is told figures that are drawn, and all of them.
    /// - Returns: The path of the page.
    /// - Throws: What drawing and writing throw.
    @discardableResult
    public func write(
        title: String, into directory: String, provenance: [(String, String)] = [],
        progress: (Int, Int) -> Void = { _, _ in }
    ) throws -> String {
        let sections = try sections(into: directory, progress: progress)
        let known = all.map { ("\($0.name), fingerprint", $0.fingerprint) } + provenance
        let path = directory + "/report.html"
        try Report(title, sections: sections, provenance: known).write(to: path)
        return path
    }

    /// Draws all figures, and makes the parts of a page of them.
    /// - Parameters:
    ///   - title: What goes before the headings.
    ///   - prefix: What goes before the names of files.
    /// - Throws: What drawing and writing throw.
    public func sections(
        _ title: String = "", into directory: String, prefix: String = "", progress: (Int, Int) -> Void = { _, _ in }
    ) throws -> [Report.Section] {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        func heading(_ text: String) -> String { title.isEmpty ? text : "\(title): \(text.lowercased())" }
        var sections = [Report.Section(heading("Datasets"), [.table(datasetTable)])]
        if !comparisons.isEmpty { sections.append(Report.Section(heading("Metrics"), [.table(table())])) }
        if !undefined.isEmpty {
            sections[sections.count - 1].items.append(
                .text("Not defined for a dataset, and so not compared: \(undefined.joined(separator: ", "))."))
        }
        let renderer = FigureRenderer(directory: directory), figures = try figures()
        var pictures = Report.Section(heading("Figures"))
        for (number, figure) in figures.enumerated() {
            var named = figure
            named.name = prefix + figure.name
            try pictures.add(named, renderer.render(named))
            if let comparison = comparisons.first(where: { "observable-\($0.quantity.name)" == figure.name }) {
                pictures.items.append(.table(comparison.table))
            }
            progress(number + 1, figures.count)
        }
        return sections + [pictures]
    }
}
