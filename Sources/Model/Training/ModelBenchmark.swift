import Foundation
import Torch

/// How fast models learn, draw and encode, with random weights and jets of realistic length.
public struct ModelBenchmark: Codable, Sendable {
    /// What is measured.
    public struct Settings: Codable, Sendable {
        /// Jets a step of training, and jets of generating and tokenising at once.
        public var batch = 256
        /// Jets that are computed at once in training.
        public var part = 32
        /// Mean number of constituents, of a gamma distribution with this shape.
        public var meanLength = 50.0
        public var shape = 4.0
        /// Rounds; the fastest counts.
        public var rounds = 3
        /// Products in bfloat16.
        public var isHalf = false
        /// The released sizes, or others.
        public var backbone = BackboneConfiguration()
        public var tokenizer = TokenizerConfiguration()

        /// Those of the released models.
        public init() {}
    }

    /// A number of jets in the fastest of some rounds.
    public struct Rate: Codable, Sendable {
        public var jets: Int
        public var rows: Int
        public var seconds: Double
        public var jetsPerSecond: Double
    }

    /// Training of the backbone: forward, backward, step of AdamW.
    public var training: Rate
    /// Generation, with the lengths that a random model gives.
    public var generation: Rate
    /// Codes of jets.
    public var tokenising: Rate
    /// Products of matrices [1024, 256] x [256, 1024], in 10⁹ operations a second: the limit of the machine.
    public var productsPerSecond: Double
    /// Operations of training, in 10⁹ a second, counting real tokens only.
    public var trainingPerSecond: Double

    /// Measures.
    public init(_ settings: Settings) throws {
        try Torch.seed(1)
        let lengths = try Self.lengths(settings), constituents = lengths.reduce(0, +)
        func fastest(_ jets: Int, _ body: () throws -> Int) throws -> Rate {
            var best = Rate(jets: jets, rows: 0, seconds: .infinity, jetsPerSecond: 0)
            let clock = ContinuousClock()
            for _ in 0..<max(1, settings.rounds) {
                let begin = clock.now
                best.rows = try body()
                best.seconds = min(best.seconds, (clock.now - begin) / .seconds(1))
            }
            best.jetsPerSecond = Double(jets) / best.seconds
            return best
        }
        let model = try GenerativeModel(settings.backbone)
        let optimizer = try Optimizer(.adamW(), model.parameters)
        let codes = Int64(settings.backbone.vocabulary - 2)
        let sequences = lengths.map { length in
            [0] + (0..<length).map { Int64($0 * 7919) % codes + 1 } + [Int64(settings.backbone.stop)]
        }
        let parts = try stride(from: 0, to: sequences.count, by: settings.part).map {
            try TokenBatch(
                sequences: Array(sequences[$0..<min(sequences.count, $0 + settings.part)]),
                length: settings.backbone.length)
        }
        let rows = parts.reduce(0) { $0 + $1.jagged.rows }
        training = try fastest(lengths.count) {
            for part in parts {
                let loss = try Torch.autocast(settings.isHalf) {
                    try model.weightedLoss(part, weight: 1 / Double(rows))
                }
                try loss.backward()
            }
            try optimizer.step(rate: 1e-4, clip: 5)
            return rows
        }
        // Operations of a token, forward: 24 D² a block, 2 D V for the logits; three times that with gradients.
        let width = Double(settings.backbone.width)
        let operations =
            24 * width * width * Double(settings.backbone.blocks) + 2 * width * Double(settings.backbone.vocabulary)
        trainingPerSecond = 3 * operations * Double(rows) / training.seconds / 1e9
        generation = try fastest(settings.batch) {
            var options = GenerationOptions()
            options.batch = settings.batch
            return try model.generate(jets: 0..<settings.batch, options: options).tokens.reduce(0) { $0 + $1.count }
        }
        let tokenizer = try Tokenizer(settings.tokenizer)
        tokenising = try fastest(lengths.count) {
            for start in stride(from: 0, to: lengths.count, by: settings.part) {
                let jagged = Jagged(lengths: Array(lengths[start..<min(lengths.count, start + settings.part)]))
                _ = try tokenizer.codes(of: Tensor.normal([jagged.rows, settings.tokenizer.inputs]), jagged)
            }
            return constituents
        }
        let a = try Tensor.normal([1024, 256]), b = try Tensor.normal([256, 1024])
        let product = try fastest(1) {
            _ = try Torch.autocast(settings.isHalf) { try a.matmul(b) }
            return 1
        }
        productsPerSecond = 2 * 1024 * 1024 * 256 / product.seconds / 1e9
    }

    /// Lengths of jets: sums of `shape` exponential numbers, at least 1 and at most 127.
    private static func lengths(_ settings: Settings) throws -> [Int] {
        let draws = max(1, Int(settings.shape))
        let numbers = try Tensor.uniform([settings.batch * draws], 1e-9...1).doubles()
        return (0..<settings.batch).map { jet in
            let sum = numbers[jet * draws..<(jet + 1) * draws].reduce(0) { $0 - log($1) }
            return max(1, min(127, Int(sum * settings.meanLength / Double(draws))))
        }
    }
}
