import Evaluation
import Foundation
import Loader
import Shards
import Support

/// A study in a directory: tokenizers, backbones and tokens that runs need, and the runs.
///
/// Each part is in a directory of its own, so that a cluster can do them one by one; all of them go on where they were stopped.
public struct Study {
    /// One training with what it generates.
    public struct Run: Sendable, Equatable {
        public var kind: StudyConfiguration.Class
        public var strategy: StudyConfiguration.Strategy
        /// Jets to train on.
        public var size: Int
        public var seed: UInt64

        /// Its directory within that of the study.
        public var path: String { "runs/\(kind.name)/\(strategy.name)/\(size)/\(seed)" }
    }

    /// How a run ended.
    public struct Result: Codable, Sendable, Equatable {
        /// Steps of the optimizer, and the one whose state generated.
        public var steps: Int
        public var bestStep: Int
        /// The lowest validation loss.
        public var validationLoss: Double?
        /// Jets that were generated, and how many of these are empty.
        public var generated: Int
        public var empty: Int
    }

    /// What is studied.
    public let configuration: StudyConfiguration
    /// Its directory.
    public let directory: String
    /// Jets to train on that each class has: larger sizes make no runs.
    public let available: [String: Int]
    /// Threads of libtorch.
    public var threads = 1
    /// Is told what is done.
    public var progress: (String) -> Void = { _ in }
    /// Whether the work should stop.
    public var isInterrupted: () -> Bool = { false }

    /// A study in a directory, which is made.
    /// - Throws: What reading the catalogues of the classes throws; `ModelError` with code `input` if one has no split `train`.
    public init(_ configuration: StudyConfiguration, directory: String) throws {
        self.configuration = configuration
        self.directory = directory
        var available: [String: Int] = [:]
        for kind in configuration.classes {
            let parts = try Dataset.readCatalogue(kind.dataset).splits?.parts
            guard let rows = parts?.first(where: { $0.name == "train" })?.rows, rows > 0 else {
                throw ModelError(
                    .input, file: kind.dataset, place: "split train", message: "does not exist or is empty")
            }
            available[kind.name] = rows
        }
        self.available = available
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    /// All runs: class by class, size by size, the strategies and seeds of a size beside each other.
    public var runs: [Run] {
        configuration.classes.flatMap { kind in
            configuration.sizes.sorted().filter { $0 <= available[kind.name] ?? 0 }.flatMap { size in
                configuration.strategies.flatMap { strategy in
                    configuration.seeds.map { Run(kind: kind, strategy: strategy, size: size, seed: $0) }
                }
            }
        }
    }

    /// The result of a run; nil if it has not ended.
    public func result(of run: Run) -> Result? {
        let path = "\(directory)/\(run.path)/result.json"
        return FileManager.default.contents(atPath: path).flatMap { try? JSONDecoder().decode(Result.self, from: $0) }
    }

    /// The jets that a run generated.
    public func generated(by run: Run) -> String { "\(directory)/\(run.path)/generated.pando" }

    // MARK: what runs need

    /// The checkpoint of a tokenizer, which is trained if it must be.
    public func tokenizer(_ name: String) throws -> String {
        guard let described = configuration.tokenizers[name] else { throw missing("tokenizer", name) }
        if let checkpoint = described.checkpoint { return checkpoint }
        let path = "\(directory)/tokenizers/\(name)"
        _ = try train(described.configuration ?? "", datasets: described.datasets ?? [], overrides: [], into: path)
        return path + "/best.safetensors"
    }

    /// The checkpoint of a backbone, which is pre-trained if it must be.
    public func backbone(_ name: String) throws -> String {
        guard let described = configuration.backbones[name] else { throw missing("backbone", name) }
        if let checkpoint = described.checkpoint { return checkpoint }
        let tokens = try (described.datasets ?? []).map { try self.tokens(of: $0, by: described.tokenizer) }
        let path = "\(directory)/backbones/\(name)"
        _ = try train(
            described.configuration ?? "", datasets: tokens, overrides: try vocabulary(described.tokenizer), into: path)
        return path + (described.takesBest == true ? "/best.safetensors" : "/last.safetensors")
    }

    private func vocabulary(_ tokenizer: String) throws -> [String] {
        let codes = try Checkpoint(path: self.tokenizer(tokenizer)).description.tokenizer?.codes ?? 0
        return ["backbone.vocabulary=\(codes + 2)"]
    }

    /// The tokens of a dataset of jets, which are made if they are not there.
    public func tokens(of dataset: String, by tokenizer: String) throws -> String {
        let name = URL(fileURLWithPath: dataset).lastPathComponent
        let path = "\(directory)/tokens/\(tokenizer)/\(name)"
        if (try? Dataset.readCatalogue(path)) != nil { return path }
        try FileManager.default.createDirectory(
            atPath: "\(directory)/tokens/\(tokenizer)", withIntermediateDirectories: true)
        let checkpoint = try Checkpoint(path: self.tokenizer(tokenizer))
        let features = checkpoint.description.features ?? .released
        progress("tokens of \(dataset) by \(tokenizer)")
        var writer = TokenDatasetWriter(
            dataset: dataset, output: path, tokenizer: try Model.Tokenizer(checkpoint, file: tokenizer),
            features: features)
        writer.isInterrupted = isInterrupted
        _ = try writer.run()
        return path
    }

    private func missing(_ what: String, _ name: String) -> ModelError {
        ModelError(.configuration, file: directory, place: name, message: "there is no \(what) of this name")
    }

    private func train(
        _ configuration: String, datasets: [String], overrides: [String], into path: String
    ) throws -> Trainer.Outcome {
        let list = datasets.map { JSONValue.string($0).text }.joined(separator: ",")
        let settings = try TrainingConfiguration(
            path: configuration, overrides: ["data.datasets=[\(list)]", "data.emptyJets=skip"] + overrides)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let trainer = try Trainer(settings, directory: path, threads: threads)
        trainer.isInterrupted = isInterrupted
        let say = progress
        var last = 0
        trainer.progress = { found in
            guard found.step == 1 || found.step - last >= 100 else { return }
            last = found.step
            say("\(path): step \(found.step), loss \(found.loss)")
        }
        let outcome = try trainer.train()
        guard outcome.reason != .interrupted else {
            throw ModelError(
                .training, file: path, message: "stopped, with its state saved",
                advice: "run the same command again to go on")
        }
        return outcome
    }

    /// Makes all tokenizers, backbones and tokens that runs need.
    public func prepare() throws {
        for strategy in configuration.strategies {
            if let name = strategy.backbone { _ = try backbone(name) }
            for kind in configuration.classes { _ = try tokens(of: kind.dataset, by: strategy.tokenizer) }
        }
    }

    // MARK: runs

    /// Trains and generates, unless that is done.
    /// - Throws: What training, generating and writing throw.
    @discardableResult public func perform(_ run: Run) throws -> Result {
        if let done = result(of: run) { return done }
        let path = "\(directory)/\(run.path)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let tokens = try tokens(of: run.kind.dataset, by: run.strategy.tokenizer)
        var overrides = try vocabulary(run.strategy.tokenizer)
        overrides += [
            "data.split=train", "data.limit=\(run.size)", "validation.split=val",
            "validation.limit=\(min(run.size, configuration.validation))", "seed=\(run.seed)",
            "from=\(try run.strategy.backbone.map(backbone) ?? "")",
        ]
        let outcome = try train(configuration.training, datasets: [tokens], overrides: overrides, into: path)
        progress("\(path): generating \(configuration.generated) jets")
        let checkpoint = try Checkpoint(path: tokenizer(run.strategy.tokenizer))
        var writer = try JetDatasetWriter(
            output: generated(by: run), tokenizer: Model.Tokenizer(checkpoint, file: run.strategy.tokenizer),
            features: checkpoint.description.features ?? .released)
        writer.isInterrupted = isInterrupted
        let best = path + "/best.safetensors"
        var drawing = GenerationOptions()
        drawing.seed = run.seed
        let made = try writer.generate(
            jets: configuration.generated, from: GenerativeModel(Checkpoint(path: best), file: best), options: drawing)
        let result = Result(
            steps: outcome.steps, bestStep: outcome.bestStep, validationLoss: outcome.best,
            generated: made.catalogue.rows, empty: made.emptyJets)
        try OutputFile.write(Array(CanonicalJSON.data(result, pretty: true)), to: path + "/result.json")
        return result
    }
}
