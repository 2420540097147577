import ArgumentParser
import Model
import Shards
import Terminal
import Torch

/// `omnijet bench`.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure training, generation and tokenising with random weights of the released sizes.",
        discussion: """
            EXAMPLE
              omnijet bench --batch 64 --rounds 1
            """)

    @Option(help: "Jets a step, and jets that are generated and tokenised.")
    var batch = 256
    @Option(help: "Jets that are computed at once in training.")
    var part = 32
    @Option(help: "Mean number of constituents.")
    var meanLength = 50.0
    @Option(help: "Rounds; the fastest counts.")
    var rounds = 3
    @Option(help: "Threads of libtorch.")
    var threads = 1
    @Flag(help: "Products in bfloat16.")
    var bfloat16 = false
    @Option(help: "Only this: training, generation or tokenising.")
    var only: ModelBenchmark.Work?
    @OptionGroup var place: DeviceArguments
    @Option(
        help:
            "What the device could do, in TFLOP/s, for the share of it that is used; default: measured by plain products."
    )
    var peak: Double?
    @Flag(help: "Print the result as JSON.")
    var json = false

    func run() throws {
        guard batch > 0, part > 0, meanLength > 0, rounds > 0, threads > 0, peak.map({ $0 > 0 }) ?? true else {
            throw ValidationError("numbers are positive")
        }
        let device = try place.resolved()
        try Machinery.check()
        try Torch.setThreads(threads)
        var settings = ModelBenchmark.Settings()
        (settings.batch, settings.part, settings.meanLength, settings.rounds) = (batch, part, meanLength, rounds)
        (settings.isHalf, settings.device, settings.peakPerSecond) = (bfloat16, device, peak.map { $0 * 1000 })
        let found = try ModelBenchmark(settings, only.map { [$0] } ?? ModelBenchmark.Work.allCases)
        if json {
            print(try CanonicalJSON.text(found))
            return
        }
        var table = Table(columns: [
            .init(title: "work"), .init(title: "jets/s", isNumber: true), .init(title: "rows/s", isNumber: true),
            .init(title: "of the processor", isNumber: true),
        ])
        for rate in found.rates {
            table.rows.append([
                rate.work.rawValue, Format.five(rate.jetsPerSecond),
                Format.count(Int(Double(rate.rows) / rate.seconds)),
                Format.percent(rate.processorSeconds / rate.seconds),
            ])
        }
        Page.table(table)
        if let training = found.trainingPerSecond {
            Page.line(
                "training: \(Format.five(training)) GFLOP/s of \(Format.five(found.productsPerSecond)) in plain products"
                    + (found.utilisation.map { ", \(Format.percent($0)) of \(peak == nil ? "these" : "the peak")" }
                        ?? "")
            )
        }
        let computed = device.isGPU ? found.device : found.kernels
        let memory = found.devicePeakBytes.map { ", and \(Format.bytes($0)) on the device" } ?? ""
        Page.line("computed by \(computed); at most \(Format.bytes(found.peakBytes)) of memory\(memory)")
    }
}

extension ModelBenchmark.Work: ExpressibleByArgument {}
