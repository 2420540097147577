import ArgumentParser
import Foundation
import Glibc
import Model
import Shards
import Support
import Terminal
import Torch

/// What all trainings are told, and how they are carried out.
struct TrainingArguments: ParsableArguments {
    @Argument(help: "The run's configuration: a JSON file; what it does not say is the recipe of its task.")
    var configuration: String
    @Option(help: "The run's directory: configuration, metrics, checkpoints. One that was begun goes on.")
    var run: String
    @Option(parsing: .singleValue, help: "Overrides a value of the configuration, for example optimizer.rate=1e-4.")
    var set: [String] = []
    @Option(help: "Threads of libtorch; other numbers give other last bits.")
    var threads = 1
    @Flag(name: .shortAndLong, help: "No progress.")
    var quiet = false
    @Flag(help: "Print the result as JSON.")
    var json = false
    @OptionGroup var place: DeviceArguments
    @OptionGroup(title: "Several processes") var ranks: RankArguments

    func validate() throws {
        guard (1...1024).contains(threads) else { throw ValidationError("--threads is 1 to 1024") }
    }

    /// Trains, if the configuration is for one of these tasks.
    func train(_ tasks: [TrainingConfiguration.Task], overrides: [String] = []) throws {
        func read() throws -> TrainingConfiguration {
            _ = try place.resolved()
            let configuration = try TrainingConfiguration(path: configuration, overrides: overrides + set)
            guard tasks.contains(configuration.task) else {
                throw ValidationError("the configuration is for \(configuration.task.rawValue)")
            }
            return configuration
        }
        let world = try ranks.world(device: place.resolved, configuration: read)
        do {
            try train(try read(), world)
        } catch {
            world.fail(error)
            // What others have not ended is not waited for.
            if world.size > 1 { Omnijet.leave(error, at: { _exit($0) }) }
            throw error
        }
    }

    private func train(_ configuration: TrainingConfiguration, _ world: World) throws {
        let isFirst = world.isFirst
        try Machinery.check(isQuiet: !isFirst)
        let trainer = try Trainer(
            configuration, directory: run, threads: threads, on: try place.resolved(), world: world,
            remark: { if isFirst { Console.note($0) } })
        let line = TrainingLine(isQuiet: quiet || !isFirst)
        trainer.progress = { line.show($0) }
        Interruption.listen()
        trainer.isInterrupted = { Interruption.isRequested }
        let outcome: Trainer.Outcome
        do {
            defer { line.finish() }
            outcome = try trainer.train()
        }
        try world.close()
        if isFirst { try report(outcome) }
        if outcome.reason == .interrupted { Interruption.resign() }
    }

    private func report(_ outcome: Trainer.Outcome) throws {
        if json {
            print(try CanonicalJSON.text(outcome))
        } else if !quiet {
            let best =
                outcome.best.map {
                    ", lowest validation loss \(Format.five($0)) at step \(Format.count(outcome.bestStep))"
                } ?? ""
            print(
                "\(run): \(outcome.reason.rawValue) after \(Format.count(outcome.steps)) steps of \(Format.count(outcome.parameters)) "
                    + "parameters\(best)")
        }
        if outcome.reason == .interrupted {
            Console.error("\(run): stopped, with its state saved; run the same command again to go on")
        }
    }
}

/// A line of progress of a training: on a terminal in place, else one every ten seconds.
final class TrainingLine {
    private let isQuiet: Bool
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let clock = ContinuousClock()
    private let begin: ContinuousClock.Instant
    private var shown: ContinuousClock.Instant?
    private var firstStep: Int?

    init(isQuiet: Bool) {
        self.isQuiet = isQuiet
        begin = clock.now
    }

    func show(_ progress: Trainer.Progress) {
        let now = clock.now, first = firstStep ?? progress.step - 1
        firstStep = first
        guard !isQuiet, now - (shown ?? begin) >= .seconds(isTerminal ? 0.2 : 10) else { return }
        shown = now
        let elapsed = (now - begin) / .seconds(1), rate = Double(progress.step - first) / max(elapsed, 1e-9)
        let left = Double(progress.steps - progress.step) / max(rate, 1e-9)
        let text =
            "step \(Format.count(progress.step)) of \(Format.count(progress.steps)), loss \(Format.five(progress.loss)), "
            + "\(Format.count(Int(progress.rowsPerSecond))) rows/s, \(Format.percent(progress.stalled)) waiting, "
            + "\(Format.duration(left)) left" + (progress.best.map { ", best \(Format.five($0))" } ?? "")
        Console.write(isTerminal ? "\r\u{1b}[K\(text)" : "\(text)\n")
    }

    func finish() {
        if shown != nil, isTerminal { Console.write("\r\u{1b}[K") }
    }
}

/// A look at the libraries before long work.
enum Machinery {
    /// Warns of a BLAS without speed: Debian's default is fifty times slower than OpenBLAS.
    static func check(isQuiet: Bool = false) throws {
        Torch.keepFreedMemory()
        guard !isQuiet else { return }
        // One thread: several would wait for each other on a busy machine.
        try Torch.setThreads(1)
        let a = try Tensor.uniform([256, 256], -1...1), clock = ContinuousClock()
        _ = try a.matmul(a)
        var least = Double.infinity
        // Other work on the machine must not look like a slow library.
        for _ in 0..<10 {
            let begin = clock.now
            _ = try a.matmul(a)
            least = min(least, (clock.now - begin) / .seconds(1))
        }
        let rate = 2 * 256.0 * 256 * 256 / max(least, 1e-9) / 1e9
        if rate < 20 {
            Console.warning(
                String(format: "products run at %.1f GFLOP/s only; ", rate)
                    + "with Debian's libtorch install libopenblas0-pthread")
        }
    }
}
