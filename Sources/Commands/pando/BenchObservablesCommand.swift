import ArgumentParser
import Evaluation
import Foundation
import Loader
import Shards
import Support
import Terminal

/// `pando bench observables`.
struct BenchObservablesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "observables",
        abstract: "Measure how fast observables of jets are computed, beside one clustering of them by FastJet.",
        discussion: """
            Groups: jet, nsubjettiness, correlators (the original's: these three), groomed, literature, onepass, types; or all.

            EXAMPLE
              pando bench observables aoj.pando --groups original --limit 100000
            """)

    @Argument(help: "The directory of the dataset.")
    var dataset: String
    @Option(help: "Groups of observables, separated by commas; or 'original', or 'all'.")
    var groups = "original"
    @Option(
        help:
            "See constituents as a tokenizer of these features does: 'released' or a JSON file; default: as they are stored."
    )
    var features: String?
    @Option(help: "Take so many jets only.")
    var limit: Int?
    @Option(help: "Take jets of this split only.")
    var split: String?
    @Option(help: "Threads; default: the cores that this process may use.")
    var threads: Int?
    @Option(name: .customLong("repeat"), help: "Measured rounds, after one that warms up.")
    var repetitions = 3
    @Option(help: "Write the observables of each jet as CSV, so that others can compare.")
    var write: String?
    @Flag(help: "Print the result as JSON.")
    var json = false

    func validate() throws {
        do { _ = try ObservableGroups(parsing: groups) } catch { throw ValidationError("--groups: \(error)") }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is 1 to 1024") }
        guard (1...1000).contains(repetitions) else { throw ValidationError("--repeat is 1 to 1000") }
    }

    func run() throws {
        var sample = JetSample(dataset)
        (sample.limit, sample.split) = (limit, split)
        sample.threads = threads ?? Machine.usableCores
        if let features {
            sample.view = .tokenizer(try Features.read(features))
        }
        var benchmark = ObservableBenchmark(sample)
        benchmark.groups = try ObservableGroups(parsing: groups)
        benchmark.repetitions = repetitions
        Interruption.listen()
        benchmark.isInterrupted = { Interruption.isRequested }
        let (report, table) = try benchmark.run()
        if let write { try table.csv.write(toFile: write, atomically: true, encoding: .utf8) }
        guard !json else { return print(try CanonicalJSON.text(report)) }
        show(report)
    }

    private func show(_ report: ObservableBenchmark.Report) {
        Page.line(
            "\(dataset): \(Format.count(report.jets)) jets of \(Format.count(report.constituents)) constituents, "
                + "\(report.observables.count) observables, \(report.threads) threads; \(report.fastJet)")
        let few = report.counts
        Page.line(
            "\(Format.count(few.empty)) jets are empty, \(Format.count(few.fewerThanThree)) have one or two constituents, "
                + "\(Format.count(few.notFinite)) have momenta that are not finite")
        var table = Table(columns: [
            .init(title: "microseconds a jet"), .init(title: "processor", isNumber: true),
            .init(title: "wall", isNumber: true), .init(title: "least", isNumber: true),
        ])
        func row(_ name: String, _ seconds: (ObservableBenchmark.Round) -> ObservableBenchmark.Seconds) {
            func text(_ values: [Double], _ pick: ([Double]) -> Double?) -> String {
                String(format: "%.2f", (pick(values.sorted()) ?? 0) * 1e6 / Double(max(1, report.jets)))
            }
            let all = report.rounds.map(seconds)
            let median: ([Double]) -> Double? = { $0.isEmpty ? nil : $0[$0.count / 2] }
            table.rows.append([
                name, text(all.map(\.cpu), median), text(all.map(\.wall), median), text(all.map(\.wall), \.first),
            ])
        }
        row("observables with reading", \.whole)
        row("  reading alone", \.reading)
        row("bare: FastJet, kT once, one thread", \.bareClustering)
        Page.table(table)
        for (name, count) in report.undefined.sorted(by: { $0.key < $1.key }) {
            Page.line("\(name) is not defined for \(Format.count(count)) jets")
        }
    }
}
