import ArgumentParser
import Convert
import Evaluation
import Foundation
import Loader
import Model
import Shards
import Support
import Terminal
import Torch

/// `omnijet evaluate`.
struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Hold generated jets against real ones: KL divergence, Wasserstein distance, figures.",
        discussion: """
            The reference is taken twice: as the tokenizer sees it (behind its cuts, massless), and as the tokenizer gives it
            back, which is the best that a model can do. Jets are chosen behind an @: name, split, label, limit.

            EXAMPLE
              omnijet evaluate generated.pando --reference jets.pando@split=test --tokenizer tokenizer/best.safetensors --into evaluation
            """)

    @Argument(help: "Datasets of generated jets: DATASET[@name=NAME,limit=N].")
    var generated: [String]
    @Option(help: "The dataset of real jets: DATASET[@name=NAME,split=SPLIT,label=N,limit=N].")
    var reference: String
    @Option(help: "The checkpoint of the tokenizer that decoded the jets.")
    var tokenizer: String
    @Option(help: "A directory for figures, report.html, evaluation.json and the reconstructed jets.")
    var into: String
    @Option(help: "Groups of observables, separated by commas.")
    var groups = "jet,nsubjettiness,correlators,groomed"
    @Option(help: "Jets of a dataset at most, chosen at random; 0: all.")
    var limit = 100_000
    @Option(help: "Replicas of the bootstrap; 0: no uncertainties.")
    var replicas = 200
    @Option(help: "Threads; default: the cores that this process may use.")
    var threads: Int?
    @OptionGroup var place: DeviceArguments
    @Flag(help: "Print all metrics as JSON.")
    var json = false

    func validate() throws {
        do {
            _ = try ObservableGroups(parsing: groups)
            for text in generated + [reference] { _ = try JetChoice(parsing: text) }
        } catch { throw ValidationError("\(error)") }
        guard limit >= 0, replicas >= 0 else { throw ValidationError("numbers are positive") }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is 1 to 1024") }
    }

    func run() throws {
        let device = try place.resolved(), threads = threads ?? Machine.usableCores
        try Torch.setThreads(threads)
        Interruption.listen()
        let (decoder, features) = try Weights.tokenizer(tokenizer, on: device)
        var options = Comparison.Options()
        options.threads = threads
        options.bootstrap = replicas > 0 ? Bootstrap(replicas: replicas, threads: threads) : nil
        let groups = try ObservableGroups(parsing: groups)
        try FileManager.default.createDirectory(atPath: into, withIntermediateDirectories: true)
        let found = try GeneratedEvaluation(
            generated: generated.map(JetChoice.init(parsing:)), reference: JetChoice(parsing: reference),
            limit: limit > 0 ? limit : nil, tokenizer: decoder, features: features,
            scratch: into + "/reconstructed.pando", observables: groups.observables, groups: groups, options: options,
            isInterrupted: { Interruption.isRequested })
        let page = try found.write(
            title: "Generated jets", into: into,
            provenance: [
                ("command", CommandLine.arguments.dropFirst().reduce("omnijet") { "\($0) \($1)" }),
                ("tokenizer", try decoder.fingerprint().hex), ("pando", Version.number), ("libtorch", Torch.version),
            ])
        let text =
            #"{"raw":\#(try CanonicalJSON.text(found.raw.json)),"reconstructed":\#(try CanonicalJSON.text(found.reconstructed.json))}"#
        try OutputFile.write(Array(text.utf8), to: into + "/evaluation.json")
        guard !json else { return print(text) }
        for comparison in [found.raw, found.reconstructed] {
            let made = comparison.table()
            var table = Table(
                columns: made.columns.enumerated().map { number, title in
                    .init(title: title, isNumber: (2...7).contains(number))
                })
            table.rows = made.rows
            Page.heading(made.caption)
            Page.table(table)
        }
        Page.line(page)
    }
}
