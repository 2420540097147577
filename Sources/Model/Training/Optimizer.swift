import Torch

/// What moves parameters along their gradients, with its settings.
public struct OptimizerConfiguration: Codable, Sendable, Equatable {
    /// Kinds of optimizers.
    public enum Kind: String, Codable, Sendable {
        /// Adam with decoupled weight decay, as PyTorch has it.
        case adamW
        /// RAdam within Lookahead, with centralised gradients (Ranger, version 2020.9.4).
        case ranger
    }

    /// How Ranger's weight decay acts.
    public enum DecayKind: String, Codable, Sendable {
        /// Part of the update, so times RAdam's step factor: version 2020.9.4.
        case update
        /// Before the update: version 20.4.11, and the copy of weaver.
        case decoupled
    }

    /// What Ranger centralises: the mean over all axes but the first is taken off.
    public enum Centralisation: String, Codable, Sendable {
        case nothing, gradients
        /// Updates, behind weight decay.
        case updates
    }

    /// The kind.
    public var kind: Kind
    /// Learning rate, which a schedule changes.
    public var rate: Double
    /// Decay of the two moments.
    public var betas: [Double]
    /// Added to the root of the second moment.
    public var eps: Double
    /// Weight decay.
    public var decay: Double
    /// How Ranger's weight decay acts.
    public var decayKind = DecayKind.update
    /// How far Ranger's slow weights follow.
    public var alpha = 0.5
    /// Steps between two of Ranger's synchronisations.
    public var lookahead = 6
    /// What Ranger centralises.
    public var centralises = Centralisation.gradients

    /// The defaults of a kind: PyTorch's, and those of Ranger 2020.9.4.
    public init(_ kind: Kind) {
        self.kind = kind
        rate = 1e-3
        switch kind {
        case .adamW: (betas, eps, decay) = ([0.9, 0.999], 1e-8, 1e-2)
        case .ranger: (betas, eps, decay) = ([0.95, 0.999], 1e-5, 0)
        }
    }

    /// AdamW with PyTorch's defaults.
    public static func adamW(rate: Double = 1e-3) -> OptimizerConfiguration {
        var settings = OptimizerConfiguration(.adamW)
        settings.rate = rate
        return settings
    }

    /// Reads settings; those that are not given are the kind's defaults.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(try values.decodeIfPresent(Kind.self, forKey: .kind) ?? .adamW)
        rate = try values.decodeIfPresent(Double.self, forKey: .rate) ?? rate
        betas = try values.decodeIfPresent([Double].self, forKey: .betas) ?? betas
        eps = try values.decodeIfPresent(Double.self, forKey: .eps) ?? eps
        decay = try values.decodeIfPresent(Double.self, forKey: .decay) ?? decay
        decayKind = try values.decodeIfPresent(DecayKind.self, forKey: .decayKind) ?? decayKind
        alpha = try values.decodeIfPresent(Double.self, forKey: .alpha) ?? alpha
        lookahead = try values.decodeIfPresent(Int.self, forKey: .lookahead) ?? lookahead
        centralises = try values.decodeIfPresent(Centralisation.self, forKey: .centralises) ?? centralises
    }

    /// - Throws: `ModelError` with code `configuration`.
    public func check() throws {
        guard rate.isFinite, rate >= 0, betas.count == 2, betas.allSatisfy({ (0..<1).contains($0) }), eps > 0,
            decay >= 0,
            lookahead > 0
        else { throw ModelError(.configuration, place: "optimizer", message: "has a setting that is out of range") }
    }
}

/// An optimizer with its state for the parameters of a model.
public final class Optimizer {
    /// Moments of a parameter, and its slow weights.
    struct State {
        var step = 0
        let m: Tensor
        let v: Tensor
        let slow: Tensor?
    }

    /// Its settings.
    public let configuration: OptimizerConfiguration
    private let parameters: [Parameters.Entry]
    private(set) var states: [String: State] = [:]
    /// Names that begin so keep the rate 0: their gradients count in the norm, but nothing moves them.
    private let frozen: [String]

    /// An optimizer for all parameters of a model.
    /// - Throws: `ModelError` with code `configuration`.
    public init(_ configuration: OptimizerConfiguration, _ parameters: Parameters, frozen: [String] = []) throws {
        try configuration.check()
        self.configuration = configuration
        self.parameters = parameters.trainable
        self.frozen = frozen
    }

    /// Clips all gradients together, moves all parameters that have one, and forgets the gradients.
    /// - Returns: The norm of the gradients before they were clipped.
    /// - Throws: `ModelError` with code `training` if the norm is not finite; then nothing was moved.
    @discardableResult public func step(rate: Double, clip: Double?) throws -> Double {
        let norm = try self.clip(clip)
        try Self.check(norm: norm)
        try move(rate: rate)
        return norm
    }

    /// - Throws: `ModelError` with code `training` if a norm of gradients is not finite.
    static func check(norm: Double) throws {
        guard norm.isFinite else {
            throw ModelError(
                .training, message: "the gradients are not finite (norm \(norm))",
                advice: "take a smaller learning rate, or float32")
        }
    }

    /// Clips all gradients together.
    /// - Returns: The norm of the gradients before, which may be no number; a GPU is waited for.
    func clip(_ most: Double?) throws -> Double { try Tensor.clipGradients(parameters.map(\.tensor), most: most) }

    /// Moves all parameters that have a gradient, and forgets the gradients.
    func move(rate: Double) throws {
        // Those that made as many steps go together: on a GPU a call for each would take longer than its work.
        var groups: [Group: [(tensor: Tensor, state: State)]] = [:]
        for entry in parameters where try entry.tensor.gradient() != nil {
            var state = try states[entry.name] ?? fresh(entry)
            state.step += 1
            states[entry.name] = state
            let isFrozen = frozen.contains { entry.name.hasPrefix($0) }
            groups[Group(step: state.step, isFrozen: isFrozen), default: []].append((entry.tensor, state))
        }
        for (group, members) in groups { try move(members, step: group.step, rate: group.isFrozen ? 0 : rate) }
        for entry in parameters { try entry.tensor.clearGradient() }
    }

    private struct Group: Hashable {
        let step: Int
        let isFrozen: Bool
    }

    private func move(_ members: [(tensor: Tensor, state: State)], step: Int, rate: Double) throws {
        let settings = configuration, betas = (settings.betas[0], settings.betas[1])
        let tensors = members.map(\.tensor), m = members.map(\.state.m), v = members.map(\.state.v)
        switch settings.kind {
        case .adamW:
            try Tensor.adamWStep(
                tensors, m, v, rate: rate, betas: betas, eps: settings.eps, decay: settings.decay, step: step)
        case .ranger:
            let centralise =
                switch settings.centralises {
                case .nothing: 0
                case .gradients: 1
                case .updates: 2
                }
            try Tensor.rangerStep(
                tensors, m, v, members.compactMap(\.state.slow), rate: rate, betas: betas, eps: settings.eps,
                decay: settings.decay, isDecoupled: settings.decayKind == .decoupled, alpha: settings.alpha,
                lookahead: settings.lookahead, centralise: centralise, step: step)
        }
    }

    private func fresh(_ entry: Parameters.Entry) throws -> State {
        let shape = entry.tensor.shape, device = entry.tensor.device
        var slow: Tensor?
        if configuration.kind == .ranger { slow = try Tensor.zeros(shape, on: device) }
        return State(m: try .zeros(shape, on: device), v: try .zeros(shape, on: device), slow: slow)
    }

    /// The names of its tensors in a checkpoint.
    private static let parts = ["m", "v", "slow"]

    /// Its state as tensors by name: `m/NAME`, `v/NAME`, `slow/NAME`, and the steps of each parameter.
    func saved() -> (tensors: [(name: String, tensor: Tensor)], steps: [String: Int]) {
        var tensors: [(name: String, tensor: Tensor)] = []
        for entry in parameters {
            guard let state = states[entry.name] else { continue }
            for (part, tensor) in zip(Self.parts, [state.m, state.v, state.slow]) {
                if let tensor { tensors.append(("\(part)/\(entry.name)", tensor)) }
            }
        }
        return (tensors, states.mapValues(\.step))
    }

    /// Takes over a state that was saved.
    /// - Throws: `ModelError` with code `weights` if it is that of other parameters.
    func restore(_ tensors: [String: Tensor], steps: [String: Int]) throws {
        for (name, step) in steps {
            guard let entry = parameters.first(where: { $0.name == name }) else {
                throw ModelError(.weights, place: name, message: "has a state of the optimizer, but is no parameter")
            }
            var state = try fresh(entry)
            state.step = step
            for (part, tensor) in zip(Self.parts, [state.m, state.v, state.slow]) {
                guard let tensor else { continue }
                guard let found = tensors["\(part)/\(name)"], found.shape == tensor.shape else {
                    throw ModelError(.weights, place: "\(part)/\(name)", message: "is missing, or has another shape")
                }
                try tensor.assign(found)
            }
            states[name] = state
        }
    }
}
