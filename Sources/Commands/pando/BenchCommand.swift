import ArgumentParser
import Convert
import Foundation
import Shards
import Support
import Terminal

/// `pando bench`.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure how far the work is from its bare cost.",
        subcommands: [
            BenchConvertCommand.self, BenchLoaderCommand.self, BenchRootCommand.self, BenchObservablesCommand.self,
            BenchMetricsCommand.self,
        ])
}

/// `pando bench convert`.
struct BenchConvertCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Measure a conversion beside bare inflating and bare compressing of the same bytes.",
        discussion: """
            Each round reads and inflates all chunks of the inputs, compresses all buffers of the shards, and converts.
            Seconds of stages are summed over the threads.

            EXAMPLE
              pando bench convert aoj/*.h5 --threads 1
            """)

    @Argument(help: "Input files. @list.txt names a file with one input a line.")
    var inputs: [String]
    @Option(help: "What the inputs hold: a name or a JSON file.")
    var schema = "aspen-open-jets"
    @Option(help: "Level of zstd.")
    var level = 3
    @Option(help: "Size at which a shard is closed, for example 64MiB.")
    var shardSize = "256MiB"
    @Option(help: "Threads; default: the cores that this process may use.")
    var threads: Int?
    @Option(name: .customLong("repeat"), help: "Measured rounds, after one that warms up.")
    var repetitions = 3
    @Option(help: "Where datasets are made and removed again; default: the directory for temporary files.")
    var directory: String?
    @Flag(help: "Print the result as JSON.")
    var json = false

    func validate() throws {
        guard (-7...19).contains(level), level != 0 else { throw ValidationError("--level is -7 to 19, not 0") }
        guard let bytes = Sizes.bytes(shardSize), (1...(1 << 40)).contains(bytes) else {
            throw ValidationError("--shard-size is a size such as 256MiB or 100MB")
        }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is 1 to 1024") }
        guard (1...1000).contains(repetitions) else { throw ValidationError("--repeat is 1 to 1000") }
    }

    func run() throws {
        var options = ConversionOptions()
        options.compression = .zstd(level: level)
        options.shardBytes = Sizes.bytes(shardSize) ?? options.shardBytes
        options.threads = threads ?? Machine.usableCores
        let parent = directory ?? NSTemporaryDirectory()
        let work = "\(parent)/pando-bench-\(ProcessInfo.processInfo.processIdentifier)"
        try Directory.make(work)
        defer { try? FileManager.default.removeItem(atPath: work) }
        var benchmark = ConversionBenchmark(
            inputs: try InputList.expand(inputs), schema: try SourceSchema(named: schema), options: options,
            directory: work)
        benchmark.repetitions = repetitions
        Interruption.listen()
        benchmark.isInterrupted = { Interruption.isRequested }
        let report = try benchmark.run()
        print(json ? try CanonicalJSON.text(report) : table(report))
    }

    private func table(_ report: ConversionBenchmark.Report) -> String {
        func numbers(_ spread: ConversionBenchmark.Spread, _ form: String) -> String {
            String(format: "\(form) (\(form) to \(form))", spread.median, spread.minimum, spread.maximum)
        }
        func line(_ name: String, _ seconds: ConversionBenchmark.Seconds, share: Bool = false) -> String {
            let part = share ? String(format: "  %5.1f%%", 100 * seconds.cpu.median / report.whole.cpu.median) : ""
            return "  \(name.padding(toLength: 28, withPad: " ", startingAt: 0))"
                + numbers(seconds.wall, "%7.3f") + "  " + numbers(seconds.cpu, "%7.3f") + part
        }
        var lines = [
            "\(Format.count(report.jets)) jets, \(Format.count(report.constituents)) constituents, "
                + "\(Format.bytes(report.inputBytes)) to \(Format.bytes(report.bytes)) "
                + "(\(String(format: "%.3f", report.sizeRatio))), \(report.threads) threads, \(report.repetitions) rounds",
            "", "  median (min to max)         wall, s                      processor, s                 share",
            line("inflate, bare", report.inflate), line("compress, bare", report.compress),
            line("conversion", report.whole),
        ]
        for stage in Stage.allCases {
            if let seconds = report.stages[stage.rawValue] { lines.append(line("  \(stage)", seconds, share: true)) }
        }
        lines += [
            "",
            "conversion over bare cost: processor \(numbers(report.ratio.cpu, "%.2f")), "
                + "wall \(numbers(report.ratio.wall, "%.2f"))",
            "\(Format.count(Int(report.jetsPerSecond.median))) jets/s, peak memory \(Format.bytes(report.peakBytes))",
        ]
        return lines.joined(separator: "\n")
    }
}
