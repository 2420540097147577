import Evaluation
import Foundation
import Shards
import Support

/// A study of how the quality of generated jets grows with the size of the training (figures 3 and 4 of "Aspen Open Jets", arXiv 2412.10504): one
/// JSON file. Paths are those that commands take: relative to where one works.
public struct StudyConfiguration: Codable, Sendable, Equatable {
    /// Jets that models learn to generate. The dataset has the splits `train`, `val` and that of the reference.
    public struct Class: Codable, Sendable, Equatable {
        /// The name in figures and directories.
        public var name: String
        /// The directory of a dataset of jets.
        public var dataset: String
    }

    /// A tokenizer: its checkpoint, or how it is trained.
    public struct Tokenizer: Codable, Sendable, Equatable {
        /// A checkpoint that is there.
        public var checkpoint: String?
        /// Else the configuration of its training.
        public var configuration: String?
        /// And the datasets of jets that it is trained on.
        public var datasets: [String]?
    }

    /// A backbone: its checkpoint, or how it is pre-trained.
    public struct Backbone: Codable, Sendable, Equatable {
        /// The tokenizer of its tokens.
        public var tokenizer: String
        /// A checkpoint that is there.
        public var checkpoint: String?
        /// Else the configuration of its training.
        public var configuration: String?
        /// And the datasets of jets, which are tokenised first.
        public var datasets: [String]?
        /// Whether the state of the lowest validation loss is taken, or the last one, as in the paper.
        public var takesBest: Bool?
    }

    /// A way to come to a model of a class.
    public struct Strategy: Codable, Sendable, Equatable {
        /// The name in figures and directories.
        public var name: String
        /// The tokenizer of the tokens.
        public var tokenizer: String
        /// The backbone to begin with; nil: random weights.
        public var backbone: String?
    }

    /// Jets that models learn to generate, one model for each.
    public var classes: [Class]
    /// What the backbone was pre-trained on, for a dotted line; nil: none.
    public var background: Class?
    /// Tokenizers by name.
    public var tokenizers: [String: Tokenizer]
    /// Backbones by name.
    public var backbones: [String: Backbone] = [:]
    /// What is held against each other.
    public var strategies: [Strategy]
    /// The configuration of all trainings; sizes, data, seeds and the vocabulary are set over it.
    public var training: String
    /// Jets to train on; smaller sets lie in larger ones of the same seed.
    public var sizes: [Int]
    /// Each is a training of its own: other weights, other order, other subset.
    public var seeds: [UInt64]
    /// Jets of `val` at most; the validation is not larger than the training.
    public var validation: Int
    /// Jets that each model generates.
    public var generated: Int
    /// The split that generated jets are held against.
    public var reference: String
    /// What is compared.
    public var observables: [String]

    private static let optional: [String: JSONValue] = [
        "backbones": .object([:]), "validation": .integer(20_000), "generated": .integer(10_000),
        "reference": .string("test"),
        "observables": .array(
            ["jet_pt", "jet_mass", "tau21", "tau32", "multiplicity"].map { .string($0) }),
    ]

    /// Reads a study.
    /// - Throws: `ModelError` with code `configuration` that names what is not known or does not fit.
    public init(path: String) throws {
        func fault(_ place: String, _ message: String) -> ModelError {
            ModelError(.configuration, file: path, place: place, message: message)
        }
        let bytes = try InputFile(path: path).readAll(limit: 1 << 24)
        guard case .object(var members) = try? JSONDecoder().decode(JSONValue.self, from: Data(bytes)) else {
            throw fault("", "is no JSON object")
        }
        let known =
            Self.optional.keys + [
                "classes", "background", "tokenizers", "strategies", "training", "sizes", "seeds",
            ]
        if let unknown = members.keys.sorted().first(where: { !known.contains($0) }) {
            throw fault(unknown, "is not known")
        }
        members.merge(Self.optional) { given, _ in given }
        do {
            self = try JSONValue.object(members).decode(StudyConfiguration.self)
        } catch let error as DecodingError {
            throw fault("", "does not fit: \(error)")
        }
        try check(fault)
    }

    private func check(_ fault: (String, String) -> ModelError) throws {
        func directory(_ place: String, _ name: String) throws {
            guard !name.isEmpty, !name.contains("/"), name.first != "." else {
                throw fault(place, "'\(name)' is no name for a directory")
            }
        }
        for kind in classes { try directory("classes", kind.name) }
        for name in tokenizers.keys { try directory("tokenizers", name) }
        for name in backbones.keys { try directory("backbones", name) }
        guard !classes.isEmpty, !strategies.isEmpty, !sizes.isEmpty, !seeds.isEmpty else {
            throw fault("", "has no classes, strategies, sizes or seeds")
        }
        guard sizes.allSatisfy({ $0 > 0 }), validation > 0, generated > 0 else {
            throw fault("sizes", "and other numbers are at least 1")
        }
        guard Set(sizes).count == sizes.count, Set(seeds).count == seeds.count,
            Set(classes.map(\.name)).count == classes.count, Set(strategies.map(\.name)).count == strategies.count
        else { throw fault("", "names a class, a strategy, a size or a seed twice") }
        for (name, tokenizer) in tokenizers {
            guard tokenizer.checkpoint != nil || tokenizer.configuration != nil && tokenizer.datasets?.isEmpty == false
            else { throw fault("tokenizers.\(name)", "has neither a checkpoint nor configuration and datasets") }
        }
        for (name, backbone) in backbones {
            guard tokenizers[backbone.tokenizer] != nil else {
                throw fault("backbones.\(name)", "names the tokenizer \(backbone.tokenizer), which there is none of")
            }
            guard backbone.checkpoint != nil || backbone.configuration != nil && backbone.datasets?.isEmpty == false
            else { throw fault("backbones.\(name)", "has neither a checkpoint nor configuration and datasets") }
        }
        for strategy in strategies {
            try directory("strategies", strategy.name)
            guard tokenizers[strategy.tokenizer] != nil else {
                throw fault(
                    "strategies", "\(strategy.name) names the tokenizer \(strategy.tokenizer), which there is none of")
            }
            guard let name = strategy.backbone else { continue }
            guard let backbone = backbones[name] else {
                throw fault("strategies", "\(strategy.name) names the backbone \(name), which there is none of")
            }
            guard backbone.tokenizer == strategy.tokenizer else {
                throw fault(
                    "strategies",
                    "\(strategy.name) has tokens of \(strategy.tokenizer), its backbone those of \(backbone.tokenizer)")
            }
        }
        for name in observables where Observable.named(name) == nil {
            throw fault("observables", "there is no '\(name)'")
        }
    }
}
