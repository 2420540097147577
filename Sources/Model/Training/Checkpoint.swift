import Foundation
import Loader
import SafeTensors
import Shards
import Support
import Torch

/// What a checkpoint says of its model, beside the weights.
public struct CheckpointDescription: Codable, Sendable {
    /// What the weights are of.
    public enum Kind: String, Codable, Sendable {
        case tokenizer, generative, classifier
    }

    /// What the weights are of.
    public var kind: Kind
    /// The shape of a tokenizer.
    public var tokenizer: TokenizerConfiguration?
    /// The shape of a backbone.
    public var backbone: BackboneConfiguration?
    /// The head of a classifier.
    public var head: Classifier.Head?
    /// Classes of a classifier.
    public var classes: Int?
    /// What a tokenizer's inputs are.
    public var features: FeatureConfiguration?
    /// The tokenizer that made the tokens that a backbone was trained on.
    public var tokenizerFingerprint: Digest?
    /// Where training was when it was written; nil for weights alone.
    public var training: TrainingState?
    /// Programs that wrote it.
    public var writer: [String: String]

    /// A description of weights.
    public init(_ kind: Kind) {
        self.kind = kind
        writer = ["libtorch": Torch.version]
    }
}

/// Where training is: all that going on needs beside tensors.
public struct TrainingState: Codable, Sendable, Equatable {
    /// Steps of the optimizer that are done.
    public var step = 0
    /// The lowest validation loss, and the step it was seen at.
    public var best: Double?
    public var bestStep = 0
    /// Validations since then.
    public var waited = 0
    /// The loss of the first step, and steps in a row whose loss is far above it.
    public var firstLoss: Double?
    public var stepsAbove: Int?
    /// Where the loader is.
    public var loader: LoaderState
    /// Steps of each parameter.
    public var optimizerSteps: [String: Int] = [:]
    /// The run's configuration, in full.
    public var configuration: TrainingConfiguration
    /// Threads of libtorch: other numbers give other bits.
    public var threads: Int
    /// Processes that made the last steps; nil where it was not said.
    public var ranks: Int?
    /// Where the last steps were made; nil: on the CPU.
    public var device: String?
}

/// Weights with their description in one safetensors file: `model` names as in PyTorch, `optimizer/` where training can go on.
public struct Checkpoint {
    /// What it says of itself.
    public var description: CheckpointDescription
    /// Weights by PyTorch's names.
    public var weights: [String: Tensor]
    /// The optimizer's tensors by their names without `optimizer/`.
    public var optimizer: [String: Tensor] = [:]

    private static let key = "omnijet"
    private static let optimizerPrefix = "optimizer/"
    /// A state of libtorch's generator in older files; random numbers follow from the step now.
    private static let randomName = "random"

    /// A checkpoint from its parts.
    public init(_ description: CheckpointDescription, weights: [String: Tensor]) {
        self.description = description
        self.weights = weights
    }

    /// Reads a checkpoint.
    /// - Throws: `SafeTensorsError` if the file is damaged or cut short; `ModelError` with code `weights` if it is none of ours.
    public init(path: String) throws {
        let file = try SafeTensorsFile(path: path)
        guard let text = file.metadata[Self.key] else {
            throw ModelError(
                .weights, file: path, message: "holds tensors, but not what they are of",
                advice: "checkpoints of the original are taken over by 'omnijet import'")
        }
        do {
            description = try JSONDecoder().decode(CheckpointDescription.self, from: Data(text.utf8))
        } catch {
            throw ModelError(.weights, file: path, place: "metadata", message: "is not understood: \(error)")
        }
        weights = [:]
        for entry in file.entries {
            if entry.name == Self.randomName { continue }
            let tensor = try Self.tensor(file, entry)
            if entry.name.hasPrefix(Self.optimizerPrefix) {
                optimizer[String(entry.name.dropFirst(Self.optimizerPrefix.count))] = tensor
            } else {
                weights[entry.name] = tensor
            }
        }
    }

    static func tensor(_ file: SafeTensorsFile, _ entry: TensorEntry) throws -> Tensor {
        let type: DType =
            switch entry.type {
            case .f64: .float64
            case .f32: .float32
            case .f16: .float16
            case .bf16: .bfloat16
            case .i64: .int64
            case .i32: .int32
            case .i16: .int16
            case .i8: .int8
            case .u8: .uint8
            case .bool: .bool
            }
        let bytes = try file.bytes(entry.name)
        return try bytes.withUnsafeBytes { try Tensor.copy($0, entry.shape, type) }
    }

    /// Writes a checkpoint, which appears under its name only when it is whole.
    public func write(path: String) throws {
        var tensors = try weights.map { try Self.outgoing($0, $1) }
        tensors += try optimizer.map { try Self.outgoing(Self.optimizerPrefix + $0, $1) }
        try SafeTensorsWriter.write(
            path: path, tensors: tensors, metadata: [Self.key: try CanonicalJSON.text(description), "format": "pt"])
    }

    private static func outgoing(_ name: String, _ tensor: Tensor) throws -> OutgoingTensor {
        let type: TensorType =
            switch tensor.type {
            case .float64: .f64
            case .float32: .f32
            case .float16: .f16
            case .bfloat16: .bf16
            case .int64: .i64
            case .int32: .i32
            case .int16: .i16
            case .int8: .i8
            case .bool: .bool
            case .uint8, nil: .u8
            }
        return try OutgoingTensor(name, type: type, shape: tensor.shape) { write in
            let source = try tensor.detached().to(.cpu).contiguous()
            try source.withBytes { try write(UnsafeRawBufferPointer($0)) }
        }
    }
}

extension Parameters {
    /// Parameters and buffers by name.
    public var named: [String: Tensor] { Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.tensor) }) }

    /// XXH3-64 of all values in the order of the modules.
    func digest() throws -> Digest {
        var digests: [Digest] = []
        for entry in entries {
            digests.append(Digest(of: Array(entry.name.utf8)))
            try entry.tensor.detached().to(.cpu).contiguous().withBytes {
                digests.append(Digest(of: UnsafeRawBufferPointer($0)))
            }
        }
        return JetColumns.content(digests)
    }
}

extension Tokenizer {
    /// A tokenizer from its checkpoint.
    /// - Throws: `ModelError` with code `weights` if it is none of a tokenizer.
    public convenience init(_ checkpoint: Checkpoint, file: String, on device: Device = .cpu) throws {
        guard checkpoint.description.kind == .tokenizer, let shape = checkpoint.description.tokenizer else {
            throw ModelError(
                .weights, file: file, message: "is of a \(checkpoint.description.kind.rawValue), expected a tokenizer")
        }
        try self.init(shape, on: device)
        _ = try parameters.load(checkpoint.weights, file: file)
    }

    /// Identifies its shape and weights: tokens of different ones do not belong together.
    public func fingerprint() throws -> Digest {
        JetColumns.content([Digest(of: Array(try CanonicalJSON.text(configuration).utf8)), try parameters.digest()])
    }
}

extension GenerativeModel {
    /// A model from its checkpoint.
    /// - Throws: `ModelError` with code `weights` if it is of something else.
    public convenience init(_ checkpoint: Checkpoint, file: String, on device: Device = .cpu) throws {
        guard checkpoint.description.kind == .generative, let shape = checkpoint.description.backbone else {
            throw ModelError(
                .weights, file: file,
                message: "is of a \(checkpoint.description.kind.rawValue), expected a generative model")
        }
        try self.init(shape, on: device)
        _ = try parameters.load(checkpoint.weights, file: file)
    }
}
