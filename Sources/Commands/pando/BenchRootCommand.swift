import ArgumentParser
import Foundation
import ROOTFile
import Shards
import Support
import Terminal

/// `pando bench root`.
struct BenchRootCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "root",
        abstract: "Measure how fast a tree of a ROOT file is read, beside bare decoding of the same baskets.",
        discussion: """
            Each round opens the file, reads the branches, and decodes the same baskets with one byte-swapping copy of their
            values. On one thread.

            EXAMPLE
              pando bench root JetClass.root --tree tree
            """)

    @Argument(help: "The file.")
    var file: String
    @Option(help: "The tree.")
    var tree: String
    @Option(help: "Branches, separated by commas; default: all that can be read.")
    var columns: String?
    @Option(name: .customLong("repeat"), help: "Measured rounds, after one that warms up.")
    var repetitions = 5
    @Flag(help: "Print the result as JSON.")
    var json = false

    func validate() throws {
        guard (1...1000).contains(repetitions) else { throw ValidationError("--repeat is 1 to 1000") }
    }

    func run() throws {
        var benchmark = ROOTBenchmark(path: file, tree: tree)
        benchmark.columns = columns?.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        benchmark.repetitions = repetitions
        Interruption.listen()
        benchmark.isInterrupted = { Interruption.isRequested }
        let report = try benchmark.run()
        guard !json else { return print(try CanonicalJSON.text(report)) }
        Page.line(
            "\(file), \(tree): \(Format.count(report.entries)) entries, "
                + "\(Format.count(report.columns)) columns of \(Format.count(report.branches)) branches in "
                + "\(Format.count(report.baskets)) baskets; \(Format.bytes(report.storedBytes)) stored, "
                + "\(Format.bytes(report.decodedBytes)) decoded, \(Format.bytes(report.valueBytes)) of values")
        show(report)
    }

    private func show(_ report: ROOTBenchmark.Report) {
        func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
        func cells(_ name: String, _ seconds: (ROOTBenchmark.Round) -> Double, bytes: Int? = nil) -> [String] {
            let all = report.rounds.map(seconds), middle = median(all)
            func text(_ value: Double) -> String { String(format: "%.3f", value * 1e3) }
            return [
                name, text(middle), text(all.min() ?? 0), text(all.max() ?? 0),
                bytes.map { String(format: "%.0f", Double($0) / 1e6 / middle) } ?? "",
            ]
        }
        var table = Table(columns: [
            .init(title: "processor"), .init(title: "ms", isNumber: true), .init(title: "least", isNumber: true),
            .init(title: "most", isNumber: true), .init(title: "MB/s", isNumber: true),
        ])
        let bytes = report.decodedBytes
        table.rows = [
            cells("open", \.open.cpu), cells("  bare: its record", \.bareOpen.cpu), cells("resolve", \.resolve.cpu),
            cells("all at once", \.whole.cpu, bytes: bytes),
            cells("  bare: from the file", \.bareWhole.read, bytes: bytes),
            cells("  bare: codec", \.bareWhole.decode, bytes: bytes),
            cells("  bare: copy into new memory", \.bareWhole.copy, bytes: bytes),
            cells("in slices", \.sliced.cpu, bytes: bytes),
            cells("  bare: from the file", \.bareSliced.read, bytes: bytes),
            cells("  bare: codec", \.bareSliced.decode, bytes: bytes),
            cells("  bare: copy into used memory", \.bareSliced.copy, bytes: bytes),
        ]
        Page.table(table)
        func ratio(_ name: String, _ values: (ROOTBenchmark.Round) -> (Double, BareDecoding.Pass)) {
            let all = report.rounds.map(values)
            let ratios = all.map { $0.0 / ($0.1.decode + $0.1.copy) }
            let withFile = all.map { $0.0 / ($0.1.read + $0.1.decode + $0.1.copy) }
            Page.line(
                String(
                    format: "%@ over codec and copy: %.2f (%.2f to %.2f); with reading from the file: %.2f", name,
                    median(ratios), ratios.min() ?? 0, ratios.max() ?? 0, median(withFile)))
        }
        ratio("all at once") { ($0.whole.cpu, $0.bareWhole) }
        ratio("in slices") { ($0.sliced.cpu, $0.bareSliced) }
    }
}
