import Foundation
import Loader
import Shards
import Support

/// A training run: one JSON file. What a file does not say is the default of its task (the recipes of OmniJet-alpha).
public struct TrainingConfiguration: Codable, Sendable, Equatable {
    /// What is trained.
    public enum Task: String, Codable, Sendable {
        case tokenizer, pretrain, classify
    }

    /// Numbers of products.
    public enum Precision: String, Codable, Sendable {
        case float32
        /// Products in bfloat16; losses and weights stay float32.
        case bfloat16
    }

    /// What happens to jets without constituents, or without any that pass the cuts.
    public enum EmptyJets: String, Codable, Sendable {
        /// Data that hold one are refused.
        case refuse
        /// They are passed over and counted.
        case skip
    }

    /// Where jets come from.
    public struct Data: Codable, Sendable, Equatable {
        /// The directories of datasets.
        public var datasets: [String] = []
        /// The weight of each; empty: all the same.
        public var weights: [Double] = []
        /// The split; nil: all jets.
        public var split: String?
        /// The first so many jets of a random order, nested in larger ones; nil: all.
        public var limit: Int?
        /// What happens to jets without constituents.
        public var emptyJets = EmptyJets.refuse
    }

    /// The task.
    public var task: Task
    /// What is trained on.
    public var data = Data()
    /// What is validated on, always the same jets; without datasets it is the split `val` of the training data's.
    public var validation = Data()
    /// The inputs of a tokenizer.
    public var features = FeatureConfiguration.released
    /// The shape of a tokenizer.
    public var tokenizer = TokenizerConfiguration()
    /// The shape of a backbone.
    public var backbone = BackboneConfiguration()
    /// The head of a classifier.
    public var head = Classifier.Head.summation
    /// The column with the classes of jets, and how many there are.
    public var label = "label"
    public var classes = 2
    /// The label of each class; empty: classes are labels. Jets of other labels are refused.
    public var labels: [Int] = []
    /// Weights to begin with: a checkpoint; empty: random ones.
    public var from = ""
    /// Whether the backbone keeps its weights.
    public var freezesBackbone = false
    /// The optimizer.
    public var optimizer = OptimizerConfiguration(.adamW)
    /// Its rate by epoch.
    public var schedule = Schedule.constant()
    /// Jets a step, of all ranks.
    public var batch = 256
    /// Jets that are computed at once; their gradients are added up.
    public var part = 32
    /// The largest norm of gradients; 0: any.
    public var clip = 5.0
    /// Steps of an epoch of the schedule and the validation; 0: those of a pass over the data.
    public var epochSteps = 0
    /// Epochs at most, and steps at most.
    public var epochs = 1_000_000
    public var steps = 1_000_000
    /// Epochs without a lower validation loss before training ends; 0: it does not.
    public var patience = 0
    /// Training ends if 100 losses in a row are so many times the first one; 0: it does not.
    public var divergence = 3.0
    /// Steps between checkpoints within an epoch; 0: none.
    public var checkpointSteps = 1000
    /// Steps between lines of the metrics.
    public var logSteps = 50
    /// What positions count in the loss.
    public var positions = LossPositions.real
    /// Numbers of products.
    public var precision = Precision.float32
    /// Seed of weights, order and dropout.
    public var seed: UInt64 = 1603

    /// The recipe of a task.
    public init(_ task: Task) {
        self.task = task
        data.split = "train"
        validation.split = "val"
        validation.limit = 25_600
        switch task {
        case .tokenizer:
            batch = 512
            epochSteps = 5850
            epochs = 100
            validation.limit = 102_400
            schedule = .oneCycleCooldown(
                warmup: 4, cooldown: 20, final: 50, initialRate: 5e-4, mostRate: 1e-3, finalRate: 3e-4)
        case .pretrain:
            epochSteps = 7800
            patience = 20
        case .classify:
            batch = 512
            patience = 10
            optimizer.rate = 1e-4
        }
    }

    /// Reads a run's file over the defaults of its task.
    /// - Parameters:
    ///   - overrides: `key.key=value`, as on the command line; values are JSON, or texts as they are.
    /// - Throws: `ModelError` with code `configuration` that names what is not known or does not fit.
    public init(path: String, overrides: [String] = []) throws {
        let bytes = try InputFile(path: path).readAll(limit: 1 << 24)
        func fault(_ place: String, _ message: String) -> ModelError {
            ModelError(.configuration, file: path, place: place, message: message)
        }
        guard var given = try? JSONDecoder().decode(JSONValue.self, from: Foundation.Data(bytes)), case .object = given
        else {
            throw fault("", "is no JSON object")
        }
        for text in overrides {
            guard let sign = text.firstIndex(of: "=") else {
                throw fault("--set \(text)", "is not like optimizer.rate=1e-4")
            }
            let keys = text[..<sign].split(separator: ".").map(String.init),
                value = String(text[text.index(after: sign)...])
            let parsed =
                (try? JSONDecoder().decode(JSONValue.self, from: Foundation.Data(value.utf8))) ?? .string(value)
            given = given.setting(keys[...], to: parsed)
        }
        guard let name = given["task"]?.string, let task = Task(rawValue: name) else {
            throw fault("task", "is not tokenizer, pretrain or classify")
        }
        let defaults = try JSONValue(encoding: TrainingConfiguration(task))
        if let unknown = given.unknown(to: defaults, optional: ["split", "limit"], whole: Self.wholes) {
            throw fault(unknown, "is not known")
        }
        do {
            self = try defaults.merged(with: given, whole: Self.wholes).decode(TrainingConfiguration.self)
        } catch let error as DecodingError {
            throw fault("", "does not fit: \(error)")
        } catch let error as LoaderError {
            throw fault(error.place, error.message)
        }
        try check(file: path)
    }

    /// Values that are taken whole, as their keys depend on their kinds.
    private static let wholes: Set<String> = ["optimizer", "schedule", "features"]

    private func check(file: String) throws {
        func fault(_ place: String, _ message: String) -> ModelError {
            ModelError(.configuration, file: file, place: place, message: message)
        }
        guard !data.datasets.isEmpty else { throw fault("data.datasets", "names no dataset") }
        guard data.weights.isEmpty || data.weights.count == data.datasets.count else {
            throw fault("data.weights", "are \(data.weights.count) for \(data.datasets.count) datasets")
        }
        for (name, value) in [
            ("batch", batch), ("part", part), ("steps", steps), ("epochs", epochs), ("logSteps", logSteps),
        ]
        where value < 1 { throw fault(name, "is \(value), expected at least 1") }
        for (name, value) in [("epochSteps", epochSteps), ("patience", patience), ("checkpointSteps", checkpointSteps)]
        where value < 0 { throw fault(name, "is negative") }
        guard divergence == 0 || divergence > 1 else {
            throw fault("divergence", "is \(divergence), expected 0 or above 1")
        }
        guard clip >= 0 else { throw fault("clip", "is negative") }
        guard labels.isEmpty || labels.count == classes && Set(labels).count == classes else {
            throw fault("labels", "are \(labels), expected \(classes) different ones")
        }
        try optimizer.check()
        try task == .tokenizer ? tokenizer.check() : backbone.check()
    }
}

extension JSONValue {
    /// The same with a value at a path of keys.
    fileprivate func setting(_ keys: ArraySlice<String>, to value: JSONValue) -> JSONValue {
        guard let key = keys.first else { return value }
        var members: [String: JSONValue] = [:]
        if case .object(let own) = self { members = own }
        members[key] = (members[key] ?? .object([:])).setting(keys.dropFirst(), to: value)
        return .object(members)
    }

    /// Members of `other` over those of this one, down to the leaves.
    fileprivate func merged(with other: JSONValue, whole: Set<String>) -> JSONValue {
        guard case .object(var own) = self, case .object(let new) = other else { return other }
        for (key, value) in new {
            own[key] = whole.contains(key) ? value : own[key].map { $0.merged(with: value, whole: whole) } ?? value
        }
        return .object(own)
    }

    /// The path of a key that `known` does not have.
    fileprivate func unknown(to known: JSONValue, optional: Set<String>, whole: Set<String>) -> String? {
        guard case .object(let own) = self, case .object(let other) = known else { return nil }
        for (key, value) in own.sorted(by: { $0.key < $1.key }) where !whole.contains(key) && !optional.contains(key) {
            guard let expected = other[key] else { return key }
            if let inner = value.unknown(to: expected, optional: optional, whole: whole) { return "\(key).\(inner)" }
        }
        return nil
    }
}
