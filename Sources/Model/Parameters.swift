import Torch

/// The parameters and buffers of a model by PyTorch's names, in the order of its modules.
///
/// Not Sendable: one thread trains.
public final class Parameters {
    /// A parameter, or a buffer, which no optimizer touches.
    public struct Entry {
        public let name: String
        public let tensor: Tensor
        public let isBuffer: Bool
    }

    /// All of them, in the order of the modules.
    public private(set) var entries: [Entry] = []
    private var places: [String: Int] = [:]
    /// Where all of them are, and with them all that the model computes.
    public let device: Device

    /// None yet.
    public init(on device: Device = .cpu) { self.device = device }

    /// Takes in a parameter and brings it to the device; gradients are recorded for it.
    /// - Returns: The parameter itself, where it is then.
    @discardableResult package func add(_ name: String, _ tensor: Tensor) throws -> Tensor {
        let tensor = try tensor.to(device)
        try tensor.setRequiresGradient()
        return try insert(name, tensor, isBuffer: false)
    }

    /// Takes in a buffer and brings it to the device.
    @discardableResult func addBuffer(_ name: String, _ tensor: Tensor) throws -> Tensor {
        try insert(name, try tensor.to(device), isBuffer: true)
    }

    private func insert(_ name: String, _ tensor: Tensor, isBuffer: Bool) throws -> Tensor {
        guard places.updateValue(entries.count, forKey: name) == nil else {
            throw ModelError(.configuration, place: name, message: "is there twice")
        }
        entries.append(Entry(name: name, tensor: tensor, isBuffer: isBuffer))
        return tensor
    }

    /// The tensor of this name; nil if there is none.
    public subscript(name: String) -> Tensor? { places[name].map { entries[$0].tensor } }

    /// What an optimizer updates, in the order of PyTorch's `parameters()`.
    public var trainable: [Entry] { entries.filter { !$0.isBuffer } }

    /// Numbers in all parameters.
    public var count: Int { trainable.reduce(0) { $0 + $1.tensor.count } }

    /// Forgets all gradients.
    public func clearGradients() throws {
        for entry in trainable { try entry.tensor.clearGradient() }
    }

    /// What a load of weights found.
    public struct LoadReport: Codable, Sendable, Equatable, CustomStringConvertible {
        /// Names that were taken over.
        public var loaded: [String] = []
        /// Names of the model that the weights do not have.
        public var missing: [String] = []
        /// Names of the weights that the model does not have.
        public var unexpected: [String] = []

        /// Counts of all three, and the first names of what did not fit.
        public var description: String {
            func some(_ names: [String]) -> String { names.isEmpty ? "" : " (\(Parameters.some(names)))" }
            return "\(loaded.count) tensors loaded, \(missing.count) missing\(some(missing)), "
                + "\(unexpected.count) unexpected\(some(unexpected))"
        }
    }

    /// Takes over weights by name.
    /// - Parameters:
    ///   - weights: Names with tensors, of whatever device. Causal masks that PyTorch keeps as buffers (`tril`) are passed over, whatever their size.
    ///   - isStrict: Whether missing and unexpected names are errors.
    /// - Throws: `ModelError` with code `weights` that names what does not fit; then nothing was changed.
    public func load(_ weights: [String: Tensor], isStrict: Bool = true, file: String = "") throws -> LoadReport {
        var report = LoadReport()
        for entry in entries {
            guard let found = weights[entry.name] else {
                report.missing.append(entry.name)
                continue
            }
            guard found.shape == entry.tensor.shape else {
                throw ModelError(
                    .weights, file: file, place: entry.name,
                    message: "has the shape \(found.shape), expected \(entry.tensor.shape)",
                    advice: "is it a checkpoint of another architecture?")
            }
            report.loaded.append(entry.name)
        }
        report.unexpected = weights.keys.filter { places[$0] == nil && !$0.hasSuffix(".tril") }.sorted()
        if isStrict, !report.missing.isEmpty || !report.unexpected.isEmpty {
            throw ModelError(
                .weights, file: file,
                message:
                    "\(report.missing.count) names are missing (\(Self.some(report.missing))) and \(report.unexpected.count) are "
                    + "unexpected (\(Self.some(report.unexpected)))",
                advice: "is it a checkpoint of another architecture?")
        }
        try Torch.withoutGradients {
            for entry in entries {
                if let found = weights[entry.name] { try entry.tensor.assign(found) }
            }
        }
        return report
    }

    private static func some(_ names: [String]) -> String {
        names.isEmpty ? "none" : names.prefix(3).joined(separator: ", ") + (names.count > 3 ? ", ..." : "")
    }
}
