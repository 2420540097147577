import Torch

/// A VQ-VAE over the constituents of jets: features to codes, and codes to features (OmniJet-alpha, arXiv 2403.05618).
///
/// Batches are packed: `x` [rows, inputs] holds the standardised features of real constituents, jet after jet.
public final class Tokenizer {
    /// Its shape and settings.
    public let configuration: TokenizerConfiguration
    /// Its parameters by PyTorch's names, as in the original's checkpoints.
    public let parameters: Parameters
    /// Its codebook.
    public let codebook: Codebook
    private let network: Network
    private let latentIn: Linear?
    private let latentOut: Linear?

    private enum Network {
        case normFormer(input: Linear, encoder: NormFormer, decoder: NormFormer, output: Linear)
        case mlp(encoder: [Linear], decoder: [Linear])
    }

    /// A tokenizer with random weights of libtorch's generator.
    /// - Throws: `ModelError` with code `configuration`.
    public init(_ configuration: TokenizerConfiguration, on device: Device = .cpu) throws {
        try configuration.check()
        self.configuration = configuration
        let parameters = Parameters(on: device)
        self.parameters = parameters
        let width = configuration.width, latent = configuration.latent, inputs = configuration.inputs
        func layers(_ name: String, _ widths: [Int]) throws -> [Linear] {
            try zip(widths, widths.dropFirst()).enumerated().map { number, pair in
                // Behind each but the last stands a ReLU, which has a number too; one layer alone has none.
                try Linear(
                    parameters, widths.count == 2 ? "model.\(name)" : "model.\(name).\(2 * number)", pair.0, pair.1)
            }
        }
        switch configuration.kind {
        case .normFormer:
            let input = try Linear(parameters, "model.input_projection", inputs, width)
            let encoder = try NormFormer(
                parameters, "model.encoder_normformer", width: width, blocks: configuration.blocks,
                heads: configuration.heads)
            latentIn = try Linear(parameters, "model.latent_projection_in", width, latent)
            codebook = try Codebook(parameters, "model.vqlayer", configuration)
            latentOut = try Linear(parameters, "model.latent_projection_out", latent, width)
            let decoder = try NormFormer(
                parameters, "model.decoder_normformer", width: width, blocks: configuration.blocks,
                heads: configuration.heads)
            let output = try Linear(parameters, "model.output_projection", width, inputs)
            network = .normFormer(input: input, encoder: encoder, decoder: decoder, output: output)
        case .mlp:
            let encoder = try layers("encoder", [inputs] + configuration.encoderLayers + [latent])
            codebook = try Codebook(parameters, "model.vqlayer", configuration)
            let decoder = try layers("decoder", [latent] + configuration.decoderLayers + [inputs])
            network = .mlp(encoder: encoder, decoder: decoder)
            (latentIn, latentOut) = (nil, nil)
        }
    }

    /// Latents [rows, latent] of features [rows, inputs].
    public func encode(_ x: Tensor, _ jagged: Jagged, dropout: Double = 0) throws -> Tensor {
        switch network {
        case .normFormer(let input, let encoder, _, _):
            let hidden = try encoder(input(x), jagged, dropout: dropout)
            return try latentIn.map { try $0(hidden) } ?? hidden
        case .mlp(let encoder, _): return try Self.run(encoder, x)
        }
    }

    /// Features [rows, inputs] of latents or codes [rows, latent].
    public func decode(_ latents: Tensor, _ jagged: Jagged, dropout: Double = 0) throws -> Tensor {
        switch network {
        case .normFormer(_, _, let decoder, let output):
            let hidden = try latentOut.map { try $0(latents) } ?? latents
            return try output(decoder(hidden, jagged, dropout: dropout))
        case .mlp(_, let decoder): return try Self.run(decoder, latents)
        }
    }

    private static func run(_ layers: [Linear], _ x: Tensor) throws(TorchError) -> Tensor {
        var x = x
        for (number, layer) in layers.enumerated() {
            x = try layer(x)
            if number < layers.count - 1 { x = try x.relu() }
        }
        return x
    }

    /// The codes of constituents: their numbers, int64 [rows].
    public func codes(of x: Tensor, _ jagged: Jagged) throws -> Tensor {
        try Torch.withoutGradients { try encode(x.to(parameters.device), jagged).nearest(codebook.effective()).index }
    }

    /// Features [rows, inputs] of the codes of constituents.
    /// - Throws: `ModelError` with code `input` if a code is not in the codebook.
    public func features(ofCodes codes: Tensor, _ jagged: Jagged) throws -> Tensor {
        if let wrong = try codes.integers().first(where: { !(0..<Int64(configuration.codes)).contains($0) }) {
            throw ModelError(.input, message: "code \(wrong) is not among the \(configuration.codes) of the codebook")
        }
        return try Torch.withoutGradients { try decode(codebook.effective().rows(codes.to(parameters.device)), jagged) }
    }
}
