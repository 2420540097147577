import ArgumentParser
import Loader
import Model
import Shards
import Support
import Terminal
import Torch

/// `omnijet tokenize`.
struct TokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize",
        abstract: "Write the codes of a dataset's constituents as a dataset.",
        discussion: """
            Row i is the same jet; events, labels and splits are kept. Stopped or killed, the same command goes on.

            EXAMPLE
              omnijet tokenize tokenizer/best.safetensors jets.pando tokens.pando
            """)

    @Argument(help: "The tokenizer's checkpoint.")
    var tokenizer: String
    @Argument(help: "The directory of a dataset of jets.")
    var dataset: String
    @Argument(help: "The directory of the dataset of tokens.")
    var output: String
    @Option(help: "Threads of libtorch.")
    var threads = 1
    @OptionGroup var place: DeviceArguments
    @Flag(name: .shortAndLong, help: "No progress.")
    var quiet = false

    func run() throws {
        let device = try place.resolved()
        try Torch.setThreads(threads)
        let (tokenizer, features) = try Weights.tokenizer(tokenizer, on: device)
        var writer = TokenDatasetWriter(dataset: dataset, output: output, tokenizer: tokenizer, features: features)
        let progress = Progress("tokenising", unit: "jets", quiet: quiet)
        writer.progress = { progress.show($0, of: $1) }
        Interruption.listen()
        writer.isInterrupted = { Interruption.isRequested }
        defer { progress.finish() }
        let report = try writer.run()
        progress.finish()
        guard !quiet else { return }
        print(
            "\(output): \(Format.counted(report.catalogue.rows, "jet")) with \(Format.counted(report.catalogue.constituents, "code"))"
        )
        if report.emptyJets > 0 || report.lostConstituents > 0 {
            print(
                "  without codes: \(Format.counted(report.emptyJets, "jet")), "
                    + "\(Format.counted(report.lostConstituents, "constituent")) behind cuts or beyond the length")
        }
    }
}

/// `omnijet generate`.
struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Draw jets from a model and write them as a dataset.",
        discussion: """
            Plain sampling by default, as in the OmniJet-alpha paper. Each jet has its own random numbers, so the same
            seed gives the same jets whatever the batch.

            EXAMPLE
              omnijet generate backbone/best.safetensors --tokenizer tokenizer/best.safetensors --jets 100 generated.pando
            """)

    @Argument(help: "The model's checkpoint.")
    var model: String
    @Option(help: "The checkpoint of the tokenizer that made the tokens it was trained on.")
    var tokenizer: String
    @Option(help: "How many jets.")
    var jets: Int
    @Argument(help: "The directory of the dataset.")
    var output: String
    @Option(help: "Decides all draws.")
    var seed: UInt64 = 1
    @Option(help: "Below 1 likely tokens become likelier; 0 takes the likeliest.")
    var temperature = 1.0
    @Option(help: "Only so many of the likeliest tokens.")
    var topK: Int?
    @Option(help: "Only the likeliest tokens that reach this probability together.")
    var topP = 1.0
    @Option(help: "Jets at once.")
    var batch = 256
    @Option(help: "Threads of libtorch.")
    var threads = 1
    @OptionGroup var place: DeviceArguments
    @Flag(name: .shortAndLong, help: "No progress.")
    var quiet = false

    func validate() throws {
        guard jets > 0 else { throw ValidationError("--jets is at least 1") }
    }

    func run() throws {
        let device = try place.resolved()
        try Machinery.check()
        try Torch.setThreads(threads)
        let (decoder, features) = try Weights.tokenizer(tokenizer, on: device)
        let checkpoint = try Checkpoint(path: model)
        let generator = try GenerativeModel(checkpoint, file: model, on: device)
        let fingerprint = try decoder.fingerprint()
        if let theirs = checkpoint.description.tokenizerFingerprint, theirs != fingerprint {
            throw ModelError(
                .weights, file: model,
                message: "was trained on tokens of tokenizer \(theirs), \(tokenizer) is \(fingerprint)")
        }
        var drawing = GenerationOptions()
        (drawing.seed, drawing.temperature, drawing.topK, drawing.topP) = (seed, temperature, topK, topP)
        drawing.batch = batch
        var writer = try JetDatasetWriter(output: output, tokenizer: decoder, features: features)
        let progress = Progress("generating", unit: "jets", quiet: quiet)
        writer.progress = { progress.show($0, of: $1) }
        Interruption.listen()
        writer.isInterrupted = { Interruption.isRequested }
        defer { progress.finish() }
        let report = try writer.generate(jets: jets, from: generator, options: drawing)
        progress.finish()
        guard !quiet else { return }
        print(
            "\(output): \(Format.counted(report.catalogue.rows, "jet")) with "
                + "\(Format.counted(report.catalogue.constituents, "constituent")), \(Format.count(report.emptyJets)) without any"
        )
    }
}

/// Weights from files.
enum Weights {
    /// A tokenizer, and what its inputs are.
    static func tokenizer(_ path: String, on device: Device) throws -> (Tokenizer, FeatureConfiguration) {
        let checkpoint = try Checkpoint(path: path)
        return (try Tokenizer(checkpoint, file: path, on: device), checkpoint.description.features ?? .released)
    }
}
