import Foundation
import Model
import TestSupport
import Testing
import Torch

/// The operations that are meant for GPUs, on the CPU: what they give is what the CPU's loops give.
@Suite(.serialized) struct GPUOperationTests {
    private static func random(_ shape: [Int], _ seed: UInt64, _ bound: Float = 1) throws -> Tensor {
        var random = Seeded(seed)
        return try Tensor.of(
            (0..<shape.reduce(1, *)).map { _ in Float.random(in: -bound...bound, using: &random) }, shape)
    }

    private static func leaves(_ shapes: [[Int]], seed: UInt64) throws -> [Tensor] {
        try shapes.enumerated().map { number, shape in
            let leaf = try random(shape, seed + UInt64(number))
            try leaf.setRequiresGradient()
            return leaf
        }
    }

    /// What a body gives with the loops, and with the operations for GPUs.
    private static func both<Result>(_ body: () throws -> Result) rethrows -> (Result, Result) {
        (try body(), try Torch.withGPUOperations(body))
    }

    @Test(
        "attention and its gradients", arguments: [1, 2, 7, 8, 9, 63, 70],
        [(false, false, false), (true, false, false), (false, true, false), (true, true, false), (true, true, true)])
    func attention(_ jets: Int, _ kind: (isCausal: Bool, hides: Bool, isUniform: Bool)) throws {
        var random = Seeded(UInt64(jets))
        // Some jets are empty.
        let lengths = (0..<jets).map { $0 % 5 == 3 ? 0 : Int.random(in: 1...9, using: &random) }
        let jagged = Jagged(lengths: lengths)
        let visible = kind.hides ? lengths.map { max(1, $0 - $0 / 3) } : nil
        let weights = try Self.random([jagged.rows, 12], 99)
        func run() throws -> [Tensor] {
            let all = try Self.leaves(Array(repeating: [jagged.rows, 12], count: 3), seed: 7)
            let found = try all[0].jaggedAttention(
                keys: all[1], values: all[2], offsets: jagged.offsets, visible: visible, heads: 3,
                isCausal: kind.isCausal, isPaddingUniform: kind.isUniform)
            try (found * weights).sum().backward()
            return [try found.detached()] + (try all.map { try #require(try $0.gradient()) })
        }
        let (loops, operations) = try Self.both(run)
        for (ours, theirs) in zip(operations, loops) { #expect(try relativeDifference(ours, theirs) < 2e-6) }
    }

    @Test(arguments: [1, 100, 700, 5000])
    func `the loss of a vocabulary and its gradients`(_ rows: Int) throws {
        func run() throws -> [Tensor] {
            let all = try Self.leaves([[rows, 8], [50, 8], [50]], seed: 3)
            let targets = try Tensor.of((0..<rows).map { Int64($0 * 31 % 50) })
            let loss = try all[0].linearCrossEntropy(
                all[1], all[2], targets: targets, rowWeights: Tensor.full([rows], 1 / Double(rows)))
            try loss.affine(3).backward()
            return [try loss.detached()] + (try all.map { try #require(try $0.gradient()) })
        }
        let (loops, operations) = try Self.both(run)
        for (ours, theirs) in zip(operations, loops) { #expect(try relativeDifference(ours, theirs) < 5e-6) }
        let outside = try Tensor.of([Int64(50)])
        #expect(throws: TorchError.self) {
            try Torch.withGPUOperations {
                try Self.random([1, 8], 1).linearCrossEntropy(
                    Self.random([50, 8], 2), Self.random([50], 3), targets: outside, rowWeights: Tensor.full([1], 1))
            }
        }
    }

    @Test func `nearest codes, with the lowest of equal ones, and distances that are no numbers`() throws {
        var values = try Self.random([10_000, 3], 5).floats()
        values[3] = .nan
        let rows = try Tensor.of(values, [10_000, 3])
        // Each code is there twice.
        let half = try Self.random([300, 3], 6), codes = try Tensor.cat([half, half])
        let (loops, operations) = try Self.both { try rows.nearest(codes) }
        #expect(try operations.index.integers() == loops.index.integers())
        #expect(try operations.index.integers()[1] == 0 && operations.index.integers().allSatisfy { $0 < 300 })
        let ours = try operations.distance.floats(), theirs = try loops.distance.floats()
        #expect(zip(ours, theirs).allSatisfy { $0 == $1 || abs($0 - $1) < 1e-6 * $1 })
    }

    @Test(
        "draws", arguments: [(1.0, nil, 1.0), (0.7, nil, 1), (0, nil, 1), (1, 5, 1), (1, nil, 0.6), (1.3, 9, 0.8)])
    func draws(_ temperature: Double, _ topK: Int?, _ topP: Double) throws {
        let logits = try Self.random([3000, 40], 11, 4)
        var random = Seeded(12)
        let uniform = (0..<3000).map { _ in Double.random(in: 0..<1, using: &random) }
        let (loops, operations) = try Self.both {
            try logits.sample(uniform: uniform, temperature: temperature, topK: topK, topP: topP)
        }
        #expect(operations.tokens == loops.tokens)
        #expect(zip(operations.logProbabilities, loops.logProbabilities).allSatisfy { abs($0 - $1) < 1e-5 })
    }

    @Test func `a draw at the upper end is a token that stays`() throws {
        let logits = try Tensor.of([5, 2, 1, 0, -1].map { Float($0) }, [1, 5])
        let (loops, operations) = try Self.both {
            try logits.sample(uniform: [0x1.fffffffffffffp-1], topK: 2).tokens
        }
        #expect(operations == loops && operations == [2])
    }

    @Test func `jets of a cache that some have left`() throws {
        var shape = BackboneConfiguration()
        (shape.vocabulary, shape.width, shape.blocks, shape.heads, shape.length) = (9, 16, 2, 4, 10)
        let model = try GenerativeModel(shape)
        var random = Seeded(3)
        for entry in model.parameters.trainable where !entry.name.contains("layernorm") {
            let own = entry.tensor.shape,
                values = (0..<entry.tensor.count).map { _ in Float.random(in: -1...1, using: &random) }
            try Torch.withoutGradients { try entry.tensor.assign(Tensor.of(values, own)) }
        }
        var options = GenerationOptions()
        options.batch = 32
        let (loops, operations) = try Self.both { try model.generate(jets: 0..<100, options: options) }
        #expect(Set(loops.tokens.map(\.count)).count > 3, "jets end at different places")
        #expect(operations.tokens == loops.tokens)
        let logs = zip(operations.logProbabilities.joined(), loops.logProbabilities.joined())
        #expect(logs.allSatisfy { abs($0 - $1) < 1e-5 })
    }

    @Test func `norms of gradients, and clipping`() throws {
        func run() throws -> (Double, [Tensor]) {
            let all = try Self.leaves([[40, 30], [7], [3, 5, 2]], seed: 20)
            for leaf in all { try leaf.squared().squared().sum().backward() }
            return (try Tensor.clipGradients(all, most: 2), try all.map { try #require(try $0.gradient()) })
        }
        let (loops, operations) = try Self.both(run)
        #expect(loops.0 > 2 && abs(operations.0 / loops.0 - 1) < 1e-6)
        for (ours, theirs) in zip(operations.1, loops.1) { #expect(try relativeDifference(ours, theirs) < 1e-6) }
    }

    @Test func `steps of optimizers, of parameters with and without gradients`() throws {
        var plain = OptimizerConfiguration(.ranger), decayed = plain, decoupled = plain
        plain.centralises = .nothing
        (decayed.decay, decayed.centralises) = (0.1, .updates)
        (decoupled.decay, decoupled.decayKind) = (0.1, .decoupled)
        for settings in [.adamW(), OptimizerConfiguration(.ranger), plain, decayed, decoupled] {
            func run() throws -> [Tensor] {
                let parameters = Parameters()
                for (number, shape) in [[6, 5], [5], [4, 3, 2], [2, 2]].enumerated() {
                    try parameters.add("p\(number)", Self.random(shape, UInt64(number)))
                }
                let optimizer = try Optimizer(settings, parameters)
                for step in 0..<14 {
                    for (number, entry) in parameters.entries.enumerated() {
                        // One parameter joins late, another one rests now and then, the last one never moves.
                        if number == 3 || number == 2 && step < 3 || number == 1 && step % 4 == 2 { continue }
                        let push = try Self.random(entry.tensor.shape, UInt64(100 * step + number))
                        try (entry.tensor * push).sum().backward()
                    }
                    try optimizer.step(rate: 0.05, clip: 3)
                }
                return try parameters.entries.map { try $0.tensor.detached().clone() }
            }
            let (loops, operations) = try Self.both(run)
            for (ours, theirs) in zip(operations, loops) { #expect(try largestDifference(ours, theirs) < 2e-6) }
            #expect(try largestDifference(operations[3], Self.random([2, 2], 3)) == 0)
        }
    }

    @Test func `sums of jets, and hits of classes`() throws {
        let rows = try Self.random([50, 4], 31)
        let (loops, operations) = try Self.both { try rows.segmentSum([0, 20, 20, 50]) }
        #expect(try relativeDifference(operations, loops) < 1e-6)
        let logits = try Tensor.of([1, 5, 5, 0, 7, 7, 3, 2, 1].map { Float($0) }, [3, 3])
        #expect(try logits.hits(Tensor.of([1, 1, 0] as [Int64])).item() == 3, "the first of equal ones counts")
        #expect(try logits.hits(Tensor.of([2, 1, 1] as [Int64])).item() == 1)
    }
}

/// The golden numbers of the original once more, by the operations that are meant for GPUs.
@Suite(.enabled(if: Golden.isThere, Golden.comment), .serialized)
struct GPUOperationGoldenTests {
    @Test func `backbone`() throws {
        try Torch.withGPUOperations {
            let tests = try BackboneGoldenTests()
            try tests.`logits and losses of packed jets are those of the padded original`()
            try tests.`padded positions of the first public version see all before them alike`()
            try tests.`gradients of both losses are the original's`()
            try tests.`parameters after steps of each optimizer are the original's`()
        }
    }

    @Test(arguments: ["tokenizer_normformer", "tokenizer_mlp"])
    func `tokenizers`(_ name: String) throws {
        try Torch.withGPUOperations {
            let tests = TokenizerGoldenTests()
            try tests.`codes, features and losses are the original's`(name)
            try tests.`gradients of both losses are the original's`(name)
            try tests.`parameters after steps are the original's`(name)
        }
    }

    @Test func `codebook, optimizers and classifiers`() throws {
        try Torch.withGPUOperations {
            try TokenizerGoldenTests().`dead codes are replaced as in a recorded run`()
            try TokenizerGoldenTests().`the codebook begins as the original's k-means makes it`()
            try OptimizerGoldenTests().`sequences of steps on given gradients are those of the original optimizers`()
            try OptimizerGoldenTests().`steps of RAdam have the factors of the table`()
            for (name, head) in [
                ("head_summation", Classifier.Head.summation), ("head_class_attention", .classAttention),
            ] {
                try ClassifierGoldenTests().`logits, gradients and steps are the original's`(name, head)
                try ClassifierGoldenTests().`a frozen backbone stays, and its gradients count in the norm`(name, head)
            }
        }
    }

    @Test func `generation`() throws {
        try Torch.withGPUOperations {
            try GenerationTests().`jets drawn with given numbers are the original's`()
        }
    }

    @Test func `released sizes`() throws {
        try Torch.withGPUOperations {
            let tests = try ReleasedSizesTests()
            try tests.`the backbone of the released size gives the original's loss, gradients and logits`()
            try tests.`the tokenizer of the released size gives the original's codes and losses`(4)
        }
    }
}
