import Torch

/// The codebook of a tokenizer: finds the nearest code of each latent vector, and lets gradients pass.
public final class Codebook {
    /// The raw codes [codes, latent]; the affine map makes the effective ones.
    package let weight: Tensor
    private let scale: Tensor?
    private let shift: Tensor?
    private let isStarted: Tensor?
    /// Steps until each code is dead.
    private let left: Tensor?
    private let configuration: TokenizerConfiguration

    package init(_ parameters: Parameters, _ name: String, _ configuration: TokenizerConfiguration) throws {
        self.configuration = configuration
        let codes = configuration.codes, latent = configuration.latent
        isStarted =
            configuration.startsFromData ? try parameters.addBuffer("\(name).data_initialized", .zeros([1])) : nil
        left =
            configuration.replaceFrequency > 0
            ? try parameters.addBuffer("\(name)._counts", .full([codes], Double(configuration.replaceFrequency))) : nil
        weight = try parameters.add("\(name).codebook.weight", .normal([codes, latent]))
        if configuration.affineRate != 0 {
            scale = try parameters.add("\(name).affine_transform.scale", .zeros([1, latent]))
            shift = try parameters.add("\(name).affine_transform.bias", .zeros([1, latent]))
        } else {
            (scale, shift) = (nil, nil)
        }
    }

    /// The codes that latents are compared with: (1 + rate · scale) · codes + rate · bias.
    public func effective() throws(TorchError) -> Tensor {
        guard let scale, let shift else { return weight }
        let rate = configuration.affineRate
        return try scale.affine(rate, 1) * weight + shift.affine(rate)
    }

    /// Latents with their codes.
    package struct Quantised {
        /// Codes with the gradients of latents, and `synchronisation` of them for the codes: what the decoder sees.
        package let passed: Tensor
        /// The effective codes, with gradients for the codebook.
        package let codes: Tensor
        /// Their numbers, int64.
        package let index: Tensor
    }

    /// Finds the nearest codes of latents [rows, latent].
    package func quantise(_ latents: Tensor) throws -> Quantised {
        let all = try effective()
        let index = try Torch.withoutGradients { try latents.nearest(all).index }
        let codes = try all.rows(index)
        let nu = configuration.synchronisation
        let straight = try latents + (codes - latents).detached()
        guard nu != 0 else { return Quantised(passed: straight, codes: codes, index: index) }
        let scaled = try codes.affine(nu)
        return Quantised(passed: try straight + (scaled - scaled.detached()), codes: codes, index: index)
    }

    // MARK: upkeep while training

    /// Where the random numbers of the upkeep come from; tests give those of a recorded run.
    public struct Draws {
        /// The number of the vector that k-means begins with, below the count.
        public var first: (Int) throws -> Int
        /// An order of so many vectors.
        public var permutation: (Int) throws -> Tensor
        /// Standard normal numbers [rows, latent].
        public var noise: (Int, Int) throws -> Tensor

        /// Those of libtorch's generator.
        public init() {
            first = { count in Int(try Tensor.uniform([1], 0...1).item() * Double(count)) % max(1, count) }
            permutation = { try Tensor.permutation($0) }
            noise = { try Tensor.normal([$0, $1]) }
        }

        /// Those that are given.
        public init(
            first: @escaping (Int) throws -> Int, permutation: @escaping (Int) throws -> Tensor,
            noise: @escaping (Int, Int) throws -> Tensor
        ) {
            self.first = first
            self.permutation = permutation
            self.noise = noise
        }
    }

    /// What the original does behind each forward pass of training: the codebook begins as centres of the first latents, and codes that were
    /// not used for `replaceFrequency` steps become latents.
    ///
    /// - Parameters:
    ///   - latents: [rows, latent]: of real constituents; for the released behaviour of all positions, padded ones zero.
    ///   - index: The codes that the forward pass chose for them.
    ///   - isReleased: Replaces raw codes by latents as they are, as the original does; otherwise by what the affine map leads back to them.
    ///   - world: The processes that have parts of the batch. All of them draw the same numbers and decide alike.
    package func keepUp(
        _ latents: Tensor, _ index: Tensor, isReleased: Bool, draws: Draws, world: World = .single
    ) throws {
        try Torch.withoutGradients {
            let latents = try latents.detached()
            if let isStarted, try isStarted.item() == 0 {
                let all = try world.gathered(latents)
                try weight.assign(try KMeans(all, codes: configuration.codes, first: draws.first).centres)
                try isStarted.fill(1)
            }
            guard let left else { return }
            try replaceDead(left, latents, index, isReleased, draws, world)
        }
    }

    private func replaceDead(
        _ left: Tensor, _ latents: Tensor, _ index: Tensor, _ isReleased: Bool, _ draws: Draws, _ world: World
    ) throws {
        var counts = try left.floats()
        let full = Float(configuration.replaceFrequency)
        let device = weight.device, marks = try Tensor.zeros([counts.count], on: device)
        try marks.assign(rows: index, Tensor.full([index.count], 1, on: device))
        let uses = try world.sum(marks.doubles())
        for code in counts.indices { counts[code] = uses[code] > 0 ? full : counts[code] - 1 }
        let dead = counts.indices.filter { counts[$0] == 0 }
        if !dead.isEmpty {
            let latents = try world.gathered(latents)
            let rows = latents.size(0), width = latents.size(1)
            let order = try draws.permutation(rows).integers()
            let chosen = try latents.rows(Tensor.of(dead.indices.map { order[$0 % rows] }, on: device))
            let lengths = try chosen.squared().sum(axis: 1).floats().map { $0.squareRoot() }
            let noise = try draws.noise(dead.count, width).to(device)
            var fresh = try chosen + (noise * Tensor.of(lengths, [dead.count, 1], on: device)).affine(0.01)
            if !isReleased, let scale, let shift {
                let rate = configuration.affineRate
                fresh = try (fresh - shift.affine(rate)) / scale.affine(rate, 1)
            }
            try weight.assign(rows: Tensor.of(dead.map { Int64($0) }, on: device), fresh)
            for code in dead { counts[code] += full }
        }
        try left.assign(Tensor.of(counts))
    }
}
