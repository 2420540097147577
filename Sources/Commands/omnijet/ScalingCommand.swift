import ArgumentParser
import Convert
import Evaluation
import Model
import Support
import Terminal
import Torch

/// `omnijet scaling`.
struct ScalingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scaling",
        abstract: "Study how generated jets get better with the size of the training.",
        discussion: """
            Classes, training sizes, strategies and seeds make runs; each trains a model and generates jets in a directory of its
            own. All of them, and the tokenizers and backbones that they need, go on where they were stopped. Without an option
            everything is done, and collected.

            EXAMPLE
              omnijet scaling configs/study-small.json --into study --list
              omnijet scaling configs/study-small.json --into study --prepare
              omnijet scaling configs/study-small.json --into study --run 0/4
              omnijet scaling configs/study-small.json --into study --collect
            """)

    @Argument(help: "The study: a JSON file.")
    var study: String
    @Option(help: "The directory of the study.")
    var into: String
    @Flag(help: "Only print the runs, and which have ended.")
    var list = false
    @Flag(help: "Only make the tokenizers, backbones and tokens that runs need.")
    var prepare = false
    @Option(
        name: .customLong("run"),
        help: ArgumentHelp("Only do the runs I, I + N, I + 2 N, ... of the list, counted from 0.", valueName: "I/N"))
    var part: String?
    @Flag(help: "Only compare what has been generated, and draw the figures.")
    var collect = false
    @Option(help: "Where figures and report.html go; default: report in the study's directory.")
    var report: String?
    @Option(help: "Replicas of the bootstrap.")
    var replicas = 200
    @Option(help: "Threads of libtorch.")
    var threads = 1
    @Flag(name: .shortAndLong, help: "No progress.")
    var quiet = false

    private func partNumbers() throws -> (Int, Int)? {
        guard let part else { return nil }
        let numbers = part.split(separator: "/").map { Int($0) }
        guard numbers.count == 2, let number = numbers[0], let all = numbers[1], all > 0, (0..<all).contains(number)
        else { throw ValidationError("--run is like 0/4: a number below the number of parts") }
        return (number, all)
    }

    func validate() throws {
        _ = try partNumbers()
        guard [list, prepare, part != nil, collect].count(where: { $0 }) <= 1 else {
            throw ValidationError("--list, --prepare, --run and --collect are one at a time")
        }
        guard (1...1024).contains(threads), replicas > 0 else { throw ValidationError("numbers are positive") }
    }

    func run() throws {
        var work = try Study(StudyConfiguration(path: study), directory: into)
        work.threads = threads
        work.isInterrupted = { Interruption.isRequested }
        let isQuiet = quiet
        work.progress = { if !isQuiet { Console.note($0) } }
        for (kind, rows) in work.available.sorted(by: { $0.key < $1.key }) {
            let dropped = work.configuration.sizes.filter { $0 > rows }.sorted().map(Format.count)
            guard !dropped.isEmpty else { continue }
            Console.note(
                "\(kind) has \(Format.count(rows)) jets to train on: no runs with \(dropped.joined(separator: ", "))")
        }
        if list {
            for (number, run) in work.runs.enumerated() {
                let state = work.result(of: run).map { "ended, \(Format.count($0.steps)) steps" } ?? "to do"
                print("\(number)  \(run.path)  \(state)")
            }
            return
        }
        Interruption.listen()
        if !collect {
            try Machinery.check()
            try Torch.setThreads(threads)
            if try partNumbers() == nil { try work.prepare() }
        }
        if !collect, !prepare {
            let (first, step) = try partNumbers() ?? (0, 1)
            for number in stride(from: first, to: work.runs.count, by: step) {
                let run = work.runs[number]
                if work.result(of: run) == nil { work.progress("run \(number) of \(work.runs.count): \(run.path)") }
                try work.perform(run)
            }
        }
        guard try !prepare && partNumbers() == nil else { return }
        var options = Comparison.Options()
        options.metrics = StudyCollection.metrics
        options.bootstrap = Bootstrap(replicas: replicas)
        let found = try StudyCollection(work, options: options)
        let page = try found.write(
            into: report ?? into + "/report", title: "Generated jets by the size of the training",
            provenance: [
                ("command", CommandLine.arguments.dropFirst().reduce("omnijet") { "\($0) \($1)" }),
                ("pando", Version.number), ("libtorch", Torch.version),
            ])
        if !found.missing.isEmpty { Console.warning("\(found.missing.count) runs have not ended") }
        print(page)
    }
}
