/// The shape of a tokenizer and the settings of its codebook (OmniJet-alpha; values by default are those of its JetClass recipe).
public struct TokenizerConfiguration: Codable, Sendable, Equatable {
    /// Architectures.
    public enum Kind: String, Codable, Sendable {
        /// Attention between the constituents of a jet.
        case normFormer
        /// Each constituent by itself.
        case mlp
    }

    /// The architecture.
    public var kind = Kind.normFormer
    /// Features of a constituent.
    public var inputs = 3
    /// Width of the hidden layers.
    public var width = 128
    /// Numbers of a latent vector.
    public var latent = 4
    /// Blocks of the encoder, and of the decoder.
    public var blocks = 4
    /// Heads of attention.
    public var heads = 8
    /// Widths of the hidden layers of the encoder and the decoder of `mlp`.
    public var encoderLayers = [128, 128, 128]
    public var decoderLayers = [128, 128, 128]
    /// Codes.
    public var codes = 8192
    /// Weight of the codebook's loss beside that of reconstruction.
    public var alpha = 10.0
    /// Part of the codebook's loss that moves codes; the rest moves latents.
    public var beta = 0.9
    /// Factor of the codebook's affine parameters; 0: there are none.
    public var affineRate = 2.0
    /// Part of the gradients behind the codebook that codes get too.
    public var synchronisation = 1.0
    /// Codes unused for so many steps are replaced; 0: never.
    public var replaceFrequency = 10
    /// Whether the codebook begins as the centres of the first batch's latents.
    public var startsFromData = true
    /// Probability of dropout on weights of attention and in the MLPs.
    public var dropout = 0.1

    /// The defaults.
    public init() {}

    /// - Throws: `ModelError` with code `configuration`.
    public func check() throws {
        func fault(_ place: String, _ message: String) -> ModelError {
            ModelError(.configuration, place: "tokenizer.\(place)", message: message)
        }
        for (name, value) in [
            ("inputs", inputs), ("width", width), ("latent", latent), ("codes", codes), ("heads", heads),
        ] where !(1...1 << 20).contains(value) {
            throw fault(name, "is \(value)")
        }
        guard kind == .mlp || width % heads == 0 else {
            throw fault("heads", "\(heads) do not divide the width \(width)")
        }
        guard (0...1000).contains(blocks) else { throw fault("blocks", "is \(blocks)") }
        guard (encoderLayers + decoderLayers).allSatisfy({ (1...1 << 20).contains($0) }) else {
            throw fault("encoderLayers", "or decoderLayers hold a width that is none")
        }
        guard replaceFrequency >= 0, (0..<1).contains(dropout), alpha.isFinite, beta.isFinite else {
            throw fault("replaceFrequency", "or dropout, alpha, beta are out of range")
        }
    }
}
