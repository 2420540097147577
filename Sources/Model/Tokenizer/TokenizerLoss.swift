import Torch

/// The loss of a tokenizer, with its parts.
public struct TokenizerLoss {
    /// reconstruction + alpha · codebook; gradients follow from it.
    public let total: Tensor
    /// Mean squared error of features.
    public let reconstruction: Tensor
    /// beta · (codes to latents) + (1 - beta) · (latents to codes).
    public let codebook: Tensor
    /// Reconstructed features [rows, inputs].
    public let features: Tensor
    /// Latents [rows, latent].
    public let latents: Tensor
    /// What the decoder saw [rows, latent].
    public let passed: Tensor
    /// Chosen codes, int64 [rows].
    public let index: Tensor
}

extension Tokenizer {
    /// The loss of a packed batch.
    ///
    /// - Parameters:
    ///   - x: Standardised features of real constituents [rows, inputs].
    ///   - padLength: Positions that each jet has in the original; needed for `released`, which counts padded ones: their features
    ///     are zero, and so are their latents in `normFormer`.
    /// - Throws: `ModelError` with code `input` if a jet has no constituents.
    public func loss(
        _ x: Tensor, _ jagged: Jagged, positions: LossPositions = .real, padLength: Int = 128, dropout: Double = 0
    ) throws -> TokenizerLoss {
        guard jagged.rows > 0, jagged.lengths.allSatisfy({ $0 > 0 }) else {
            throw ModelError(
                .input, message: "a jet has no constituents", advice: "leave such jets out before training")
        }
        let x = try x.to(parameters.device), latents = try encode(x, jagged, dropout: dropout)
        let found = try codebook.quantise(latents)
        let features = try decode(found.passed, jagged, dropout: dropout)
        var reconstruction = try (features - x).squared().sum()
        var toLatents = try (latents.detached() - found.codes).squared().sum()
        var toCodes = try (latents - found.codes.detached()).squared().sum()
        var count = jagged.rows
        if positions.countsPadding {
            count = jagged.jets * padLength
            let padded = count - jagged.rows
            guard padded >= 0 else {
                throw ModelError(
                    .input, message: "\(jagged.rows) constituents of \(jagged.jets) jets exceed \(padLength) a jet")
            }
            if padded > 0 {
                // All padded positions are alike: one row stands for them.
                let weight = Double(padded)
                let (zero, code) = try paddedPosition()
                toLatents = try toLatents + (zero.detached() - code.codes).squared().sum().affine(weight)
                toCodes = try toCodes + (zero - code.codes.detached()).squared().sum().affine(weight)
                if configuration.kind == .mlp {
                    let shown = try decode(code.passed, Jagged(lengths: [1]))
                    reconstruction = try reconstruction + shown.squared().sum().affine(weight)
                }
            }
        }
        let rows = Double(count), beta = configuration.beta
        reconstruction = try reconstruction.affine(1 / (rows * Double(configuration.inputs)))
        let scale = 1 / (rows * Double(configuration.latent))
        let codebookLoss = try toLatents.affine(beta * scale) + toCodes.affine((1 - beta) * scale)
        return TokenizerLoss(
            total: try reconstruction + codebookLoss.affine(configuration.alpha), reconstruction: reconstruction,
            codebook: codebookLoss, features: features, latents: latents, passed: found.passed, index: found.index)
    }

    /// The latent of a padded position and its code.
    private func paddedPosition() throws -> (latent: Tensor, code: Codebook.Quantised) {
        let device = parameters.device
        let latent =
            configuration.kind == .mlp
            ? try encode(Tensor.zeros([1, configuration.inputs], on: device), Jagged(lengths: [1]))
            : try Tensor.zeros([1, configuration.latent], on: device)
        return (latent, try codebook.quantise(latent))
    }

    /// The upkeep of the codebook behind a forward pass of training: begin from data, replacement of dead codes.
    public func keepUp(
        _ loss: TokenizerLoss, _ jagged: Jagged, positions: LossPositions = .real, padLength: Int = 128,
        draws: Codebook.Draws = .init()
    ) throws {
        try keepUp(
            latents: loss.latents.detached(), codes: loss.index, jagged, positions: positions, padLength: padLength,
            draws: draws)
    }

    /// The same for a batch that was computed in parts, or by several processes, whose jets lie one process behind the other.
    func keepUp(
        latents: Tensor, codes: Tensor, _ jagged: Jagged, positions: LossPositions, padLength: Int,
        draws: Codebook.Draws = .init(), world: World = .single
    ) throws {
        guard positions.countsPadding else {
            return try codebook.keepUp(latents, codes, isReleased: false, draws: draws, world: world)
        }
        let (latent, code) = try Torch.withoutGradients { try paddedPosition() }
        // Rows of all positions, jet after jet; the row behind the real ones is that of a padded position.
        var order: [Int64] = []
        for jet in 0..<jagged.jets {
            let rows = jagged.offsets[jet]..<jagged.offsets[jet + 1]
            order +=
                rows.map { Int64($0) } + Array(repeating: Int64(jagged.rows), count: max(0, padLength - rows.count))
        }
        let places = try Tensor.of(order, on: parameters.device)
        try codebook.keepUp(
            try Tensor.cat([latents, latent]).rows(places), try Tensor.cat([codes, code.index]).rows(places),
            isReleased: true, draws: draws, world: world)
    }
}
