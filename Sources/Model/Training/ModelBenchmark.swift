import Foundation
import Glibc
import Support
import Torch

/// How fast models learn, draw and encode, with random weights and jets of realistic length.
public struct ModelBenchmark: Encodable, Sendable {
    /// What is measured.
    public struct Settings: Sendable {
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
        /// Where the models are.
        public var device = Device.cpu
        /// What the device could do, in 10⁹ operations a second; nil: what plain products reach.
        public var peakPerSecond: Double?
        /// The released sizes, or others.
        public var backbone = BackboneConfiguration()
        public var tokenizer = TokenizerConfiguration()

        /// Those of the released models.
        public init() {}
    }

    /// What is measured.
    public enum Work: String, Codable, Sendable, CaseIterable {
        /// Forward and backward pass of the backbone and a step of AdamW.
        case training
        /// Drawing jets, with the lengths that a random model gives.
        case generation
        /// Codes of jets.
        case tokenising
    }

    /// A number of jets in the fastest of some rounds.
    public struct Rate: Codable, Sendable {
        public var work: Work
        public var jets: Int
        /// Tokens or constituents.
        public var rows: Int
        /// Time that passed.
        public var seconds: Double
        /// Time of all processors.
        public var processorSeconds: Double
        public var jetsPerSecond: Double
    }

    /// What was measured, each in the fastest of the rounds.
    public var rates: [Rate] = []
    /// Products of matrices [1024, 256] x [256, 1024], on a GPU [8192, 8192] x [8192, 8192], in 10⁹ operations a second: the limit of the
    /// machine.
    public var productsPerSecond: Double
    /// Operations of training, in 10⁹ a second of processor time (on a GPU of time that passed), counting real tokens only; nil if it was not
    /// measured.
    public var trainingPerSecond: Double?
    /// The model's FLOP utilisation: its operations, as a part of what the device could do.
    public var utilisation: Double?
    /// The largest resident memory of the process in bytes.
    public var peakBytes: Int
    /// The most bytes that tensors took on a GPU; nil where it is not known.
    public var devicePeakBytes: Int?
    /// Where it was measured.
    public var device: String
    /// The libraries and instructions that computed.
    public var kernels: String

    private let settings: Settings
    private let lengths: [Int]

    /// Measures.
    public init(_ settings: Settings, _ works: [Work] = Work.allCases) throws {
        self.settings = settings
        try Torch.seed(1)
        lengths = try Self.lengths(settings)
        (productsPerSecond, peakBytes, kernels, device) = (0, 0, Torch.kernels, settings.device.description)
        for work in works {
            switch work {
            case .training: try measureTraining()
            case .generation: try measureGeneration()
            case .tokenising: try measureTokenising()
            }
        }
        peakBytes = Machine.peakMemory
        devicePeakBytes = try settings.device.peakMemory()
        let (rows, inner) = settings.device.isGPU ? (8192, 8192) : (1024, 256)
        let a = try Tensor.normal([rows, inner]).to(settings.device),
            b = try Tensor.normal([inner, rows]).to(settings.device)
        let product = try fastest(.training, 20) {
            try halved { for _ in 0..<20 { _ = try a.matmul(b) } }
            return 20
        }
        productsPerSecond = 20 * 2 * Double(rows * rows * inner) / working(product) / 1e9
        utilisation = trainingPerSecond.map { $0 / (settings.peakPerSecond ?? productsPerSecond) }
    }

    /// Seconds of the processor, or those that passed for a GPU.
    private func working(_ rate: Rate) -> Double { settings.device.isGPU ? rate.seconds : rate.processorSeconds }

    private func halved<Result>(_ body: () throws -> Result) throws -> Result {
        try Torch.autocast(settings.isHalf, on: settings.device) { try body() }
    }

    private enum CodingKeys: String, CodingKey {
        case rates, productsPerSecond, trainingPerSecond, utilisation, peakBytes, devicePeakBytes, device, kernels
    }

    private func fastest(_ work: Work, _ jets: Int, _ body: () throws -> Int) throws -> Rate {
        var best = Rate(
            work: work, jets: jets, rows: 0, seconds: .infinity, processorSeconds: .infinity, jetsPerSecond: 0)
        let clock = ContinuousClock()
        // The first round takes memory and fills caches.
        for round in 0...max(1, settings.rounds) {
            try settings.device.synchronize()
            let begin = clock.now, used = Self.processorSeconds()
            best.rows = try body()
            try settings.device.synchronize()
            guard round > 0 else { continue }
            best.seconds = min(best.seconds, (clock.now - begin) / .seconds(1))
            best.processorSeconds = min(best.processorSeconds, Self.processorSeconds() - used)
        }
        best.jetsPerSecond = Double(jets) / best.seconds
        return best
    }

    private static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    private mutating func measureTraining() throws {
        let model = try GenerativeModel(settings.backbone, on: settings.device)
        let optimizer = try Optimizer(.adamW(), model.parameters)
        let codes = Int64(settings.backbone.vocabulary - 2)
        let sequences = lengths.map { length in
            [0] + (0..<length).map { Int64($0 * 7919) % codes + 1 } + [Int64(settings.backbone.stop)]
        }
        let parts = try stride(from: 0, to: sequences.count, by: settings.part).map {
            try TokenBatch(
                sequences: Array(sequences[$0..<min(sequences.count, $0 + settings.part)]),
                length: settings.backbone.length, on: settings.device)
        }
        let rows = parts.reduce(0) { $0 + $1.jagged.rows }
        let rate = try fastest(.training, lengths.count) {
            for part in parts {
                let loss = try halved { try model.weightedLoss(part, weight: 1 / Double(rows)) }
                try loss.backward()
            }
            try optimizer.step(rate: 1e-4, clip: 5)
            return rows
        }
        // Operations of a token, forward: 24 D² a block, 2 D V for the logits; three times that with gradients.
        let width = Double(settings.backbone.width)
        let operations =
            24 * width * width * Double(settings.backbone.blocks) + 2 * width * Double(settings.backbone.vocabulary)
        trainingPerSecond = 3 * operations * Double(rows) / working(rate) / 1e9
        rates.append(rate)
    }

    private mutating func measureGeneration() throws {
        let model = try GenerativeModel(settings.backbone, on: settings.device)
        rates.append(
            try fastest(.generation, settings.batch) {
                var options = GenerationOptions()
                options.batch = settings.batch
                return try halved {
                    try model.generate(jets: 0..<settings.batch, options: options).tokens.reduce(0) { $0 + $1.count }
                }
            })
    }

    private mutating func measureTokenising() throws {
        let tokenizer = try Tokenizer(settings.tokenizer, on: settings.device)
        rates.append(
            try fastest(.tokenising, lengths.count) {
                for start in stride(from: 0, to: lengths.count, by: settings.part) {
                    let jagged = Jagged(lengths: Array(lengths[start..<min(lengths.count, start + settings.part)]))
                    let x = try Tensor.normal([jagged.rows, settings.tokenizer.inputs])
                    _ = try halved { try tokenizer.codes(of: x, jagged) }
                }
                return lengths.reduce(0, +)
            })
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
