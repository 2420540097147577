import ArgumentParser
import Evaluation
import Foundation
import Shards
import Support
import Terminal

/// `pando bench metrics`.
struct BenchMetricsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics",
        abstract: "Measure how fast two samples are compared.",
        discussion: """
            Each round sorts both samples, takes W1 and KL of them, and draws replicas for their uncertainties. The files
            hold float64 numbers and nothing else.

            EXAMPLE
              pando bench metrics generated.f64 reference.f64 --threads 1
            """)

    @Argument(help: "The generated sample.")
    var generated: String
    @Argument(help: "The reference.")
    var reference: String
    @Option(help: "Threads; default: the cores that this process may use.")
    var threads: Int?
    @Option(help: "Replicas of the bootstrap; 0: none.")
    var replicas = 200
    @Option(name: .customLong("repeat"), help: "Measured rounds, after one that warms up.")
    var repetitions = 3
    @Flag(help: "Print the result as JSON.")
    var json = false

    func validate() throws {
        guard (1...1000).contains(repetitions) else { throw ValidationError("--repeat is 1 to 1000") }
        guard replicas == 0 || (2...100_000).contains(replicas) else {
            throw ValidationError("--replicas is 0 or 2 to 100000")
        }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is 1 to 1024") }
    }

    func run() throws {
        var benchmark = MetricBenchmark(generated: generated, reference: reference)
        benchmark.threads = threads ?? Machine.usableCores
        (benchmark.replicas, benchmark.repetitions) = (replicas, repetitions)
        Interruption.listen()
        benchmark.isInterrupted = { Interruption.isRequested }
        let report = try benchmark.run()
        guard !json else { return print(try CanonicalJSON.text(report)) }
        let values = report.values.sorted { $0.key < $1.key }.map { "\($0.key) \(Format.five($0.value))" }
        Page.line(
            "\(report.entries.map { Format.count($0) }.joined(separator: " and ")) entries, "
                + "\(Format.counted(report.threads, "thread")): \(values.joined(separator: ", "))")
        show(report)
    }

    private func show(_ report: MetricBenchmark.Report) {
        func cells(_ name: String, _ seconds: (MetricBenchmark.Round) -> MetricBenchmark.Seconds?) -> [String]? {
            let all = report.rounds.compactMap(seconds)
            guard !all.isEmpty else { return nil }
            func text(_ values: [Double]) -> String { String(format: "%.2f", values.sorted()[values.count / 2] * 1e3) }
            return [name, text(all.map(\.wall)), text(all.map(\.cpu))]
        }
        var table = Table(columns: [
            .init(title: "median"), .init(title: "wall, ms", isNumber: true),
            .init(title: "processor, ms", isNumber: true),
        ])
        table.rows = [
            cells("sorting both", \.sort), cells("W1 of sorted samples", \.merge), cells("W1", \.wasserstein),
            cells("KL of sorted samples", \.kl),
            cells("\(report.replicas) replicas of W1 and KS", \.bootstrapDistances),
            cells("\(report.replicas) replicas of KL", \.bootstrapKL),
        ].compactMap { $0 }
        Page.table(table)
    }
}
