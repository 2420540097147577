import ArgumentParser
import Evaluation
import Foundation
import Loader
import Model
import Shards
import Terminal
import Torch

/// `omnijet tokenizer`.
struct TokenizerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenizer", abstract: "Train tokenizers, and see how good they are.",
        subcommands: [Train.self, Evaluate.self])

    /// `omnijet tokenizer train`.
    struct Train: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Train a VQ-VAE that turns constituents into codes.",
            discussion: """
                EXAMPLE
                  omnijet tokenizer train configs/tokenizer-small.json --run tokenizer
                """)

        @OptionGroup var arguments: TrainingArguments

        func run() throws { try arguments.train([.tokenizer]) }
    }

    /// `omnijet tokenizer evaluate`.
    struct Evaluate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say how well jets come back from their codes, and how the codebook is used.",
            discussion: """
                EXAMPLE
                  omnijet tokenizer evaluate tokenizer/best.safetensors jets.pando --figures resolutions
                """)

        @Argument(help: "The tokenizer's checkpoint.")
        var checkpoint: String
        @Argument(help: "The directory of a dataset of jets.")
        var dataset: String
        @Option(help: "The split; default: all jets.")
        var split: String?
        @Option(help: "At most so many jets.")
        var limit = 10_000
        @Option(help: "Threads of libtorch.")
        var threads = 1
        @OptionGroup var place: DeviceArguments
        @Option(help: "Draw resolutions and the use of codes into this directory (SVG, PNG, CSV).")
        var figures: String?
        @Flag(help: "Print the result as JSON.")
        var json = false

        func run() throws {
            let device = try place.resolved()
            try Torch.setThreads(threads)
            let weights = try Checkpoint(path: checkpoint)
            let tokenizer = try Tokenizer(weights, file: checkpoint, on: device)
            let features = weights.description.features ?? .released
            var contents = LoaderContents(columns: [], features: features), options = LoaderOptions()
            contents.isJagged = true
            (options.shuffle, options.dropLast, options.split) = (false, false, split)
            let all = try Loader(dataset: dataset, contents: contents, options: options).jetCount
            options.limit = min(limit, all)
            options.batchSize = min(options.batchSize, max(1, min(limit, all)))
            let loader = try Loader(dataset: dataset, contents: contents, options: options)
            let found = try TokenizerEvaluation(of: tokenizer, features: features, loader: loader)
            if let figures {
                try FileManager.default.createDirectory(atPath: figures, withIntermediateDirectories: true)
                try FigureRenderer(directory: figures).render(found.figure())
            }
            if json {
                print(try CanonicalJSON.text(found))
            } else {
                show(found)
            }
        }

        private func show(_ found: TokenizerEvaluation) {
            Page.line(
                "\(Format.counted(found.jets, "jet")) with \(Format.counted(found.constituents, "constituent"))"
                    + (found.empty > 0 ? ", and \(Format.count(found.empty)) without any behind the cuts" : ""))
            var table = Table(columns: [
                .init(title: "reconstructed - original"), .init(title: "unit"), .init(title: "mean", isNumber: true),
                .init(title: "root mean square", isNumber: true), .init(title: "median size", isNumber: true),
            ])
            for resolution in found.resolutions + found.jetResolutions {
                table.rows.append([
                    resolution.feature, resolution.unit, Format.five(resolution.bias), Format.five(resolution.rms),
                    Format.five(resolution.median),
                ])
            }
            Page.table(table)
            Page.line(
                "codes: \(Format.count(found.used)) of \(Format.count(found.codes)) used, perplexity \(Format.five(found.perplexity)), "
                    + "\(Format.count(found.duplicates)) the same as another")
        }
    }
}

/// `omnijet pretrain`.
struct PretrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pretrain",
        abstract: "Train a backbone to tell the next token.",
        discussion: """
            EXAMPLE
              omnijet pretrain configs/pretrain-small.json --run backbone
            """)

    @OptionGroup var arguments: TrainingArguments

    func run() throws { try arguments.train([.pretrain]) }
}

/// `omnijet finetune`.
struct FinetuneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "finetune",
        abstract: "Go on with a backbone on other jets: to generate these, or to classify.",
        discussion: """
            The task is the configuration's, or --task's: to generate (pretrain in configurations) or to classify.

            EXAMPLE
              omnijet finetune configs/pretrain-small.json --run tuned --from backbone/best.safetensors --limit 1000
              omnijet finetune configs/classify-small.json --run classifier --from backbone/best.safetensors
            """)

    /// What a fine-tuned model does.
    enum Purpose: String, ExpressibleByArgument, CaseIterable {
        case generate, classify
    }

    @OptionGroup var arguments: TrainingArguments
    @Option(help: "What the model is to do: generate or classify; default: as the configuration says.")
    var task: Purpose?
    @Option(help: "The checkpoint to begin with, or scratch for random weights.")
    var from: String
    @Option(help: "Only the first so many jets of a random order; smaller sets lie within larger ones.")
    var limit: Int?
    @Flag(help: "Keep the backbone's weights; only the head learns.")
    var freezeBackbone = false

    func run() throws {
        var overrides = ["from=\(from == "scratch" ? "" : from)"]
        if let task { overrides.append("task=\(task == .classify ? "classify" : "pretrain")") }
        if let limit { overrides.append("data.limit=\(limit)") }
        if freezeBackbone { overrides.append("freezesBackbone=true") }
        try arguments.train([.pretrain, .classify], overrides: overrides)
    }
}
