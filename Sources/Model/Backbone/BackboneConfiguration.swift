/// The shape of the backbone (OmniJet-alpha; values by default are those of its generative recipe).
public struct BackboneConfiguration: Codable, Sendable, Equatable {
    /// Tokens: start (and padding) 0, codes from 1 on, stop last.
    public var vocabulary = 8194
    /// Width of embeddings.
    public var width = 256
    /// Blocks.
    public var blocks = 3
    /// Heads of attention.
    public var heads = 8
    /// Positions of a training sequence, and tokens that are generated at most.
    public var length = 128
    /// Probability of dropout on weights of attention.
    public var dropout = 0.0

    /// The defaults.
    public init() {}

    /// The token behind the last constituent.
    public var stop: Int { vocabulary - 1 }

    /// - Throws: `ModelError` with code `configuration`.
    public func check() throws {
        func fault(_ place: String, _ message: String) -> ModelError {
            ModelError(.configuration, place: "backbone.\(place)", message: message)
        }
        for (name, value) in [("width", width), ("heads", heads), ("length", length)]
        where !(1...1 << 20).contains(value) {
            throw fault(name, "is \(value)")
        }
        guard (3...1 << 24).contains(vocabulary) else {
            throw fault("vocabulary", "is \(vocabulary), expected at least 3")
        }
        guard width % heads == 0 else { throw fault("heads", "\(heads) do not divide the width \(width)") }
        guard (0...1000).contains(blocks) else { throw fault("blocks", "is \(blocks)") }
        guard (0..<1).contains(dropout) else { throw fault("dropout", "is \(dropout)") }
    }
}
