import Foundation
import Model
import Testing
import Torch

/// Losses, norms, logits and codes of the released sizes, with weights that a counter generates (they are too large to store).
@Suite(.enabled(if: Golden.isThere, Golden.comment), .serialized)
struct ReleasedSizesTests {
    private let golden: [String: Any]

    init() throws {
        let folder = try #require(Golden.folder)
        golden = try #require(Golden.json("\(folder)/released_sizes.json")["generated_forward"] as? [String: Any])
    }

    /// SplitMix64 (Steele et al. 2014) of a counter.
    private static func mixed(_ counter: UInt64) -> UInt64 {
        var z = (counter &+ 1) &* 0x9e37_79b9_7f4a_7c15
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    /// In -1 ..< 1, exact in float32.
    private static func number(_ counter: UInt64) -> Double { 2 * Double(mixed(counter) >> 40) * 0x1p-24 - 1 }

    private static func fill(_ parameters: Parameters) throws -> Int {
        var counter: UInt64 = 0
        for entry in parameters.trainable {
            let shape = entry.tensor.shape, parts = entry.name.split(separator: ".")
            let owner = parts.dropLast().last ?? ""
            let isNorm =
                (owner.hasPrefix("norm") || owner.hasPrefix("layernorm")) && entry.name.hasSuffix("weight")
                || entry.name.hasSuffix("mlp.0.weight")
            let isShort = ["transform.scale", "transform.bias"].contains { entry.name.hasSuffix($0) }
            let (shift, scale): (Double, Double) =
                isNorm ? (1, 0.25) : shape.count == 1 || isShort ? (0, 0.125) : (0, (shape.last ?? 0) > 4 ? 0.0625 : 1)
            let first = counter
            counter += UInt64(entry.tensor.count)
            let values = (first..<counter).map { Float(shift + scale * number($0)) }
            try Torch.withoutGradients { try entry.tensor.assign(Tensor.of(values, shape)) }
        }
        return Int(counter)
    }

    private func found(_ object: Any?, _ path: String...) throws -> Any {
        var object = object
        for name in path { object = (object as? [String: Any])?[name] }
        return try #require(object, "no \(path)")
    }

    @Test func `the backbone of the released size gives the original's loss, gradients and logits`() throws {
        let expected = golden["backbone"], model = try GenerativeModel(BackboneConfiguration())
        #expect(try Self.fill(model.parameters) == found(expected, "parameters_filled") as? Int)
        let lengths = try #require(found(expected, "constituents") as? [Int])
        let sequences = lengths.enumerated().map { jet, count -> [Int64] in
            [0] + (0..<count).map { Int64(Self.mixed(UInt64(1_000_000_000 + 1000 * jet + $0)) % 8192) + 1 } + [8193]
        }
        for (sequence, first) in zip(sequences, try #require(found(expected, "first_tokens") as? [[Int64]])) {
            #expect(Array(sequence.prefix(first.count)) == first)
        }
        let batch = try TokenBatch(sequences: sequences, length: 128)
        for (positions, name) in [(LossPositions.real, "loss_masked_float64"), (.released, "loss_float64")] {
            let theirs = try #require(found(expected, name) as? Double)
            #expect(abs(try model.loss(batch, positions: positions).item() / theirs - 1) < 5e-6, "\(name)")
        }
        try model.loss(batch).backward()
        let norm = try Tensor.clipGradients(model.parameters.trainable.map(\.tensor), most: nil)
        #expect(abs(norm / (try #require(found(expected, "grad_norm_masked") as? Double)) - 1) < 5e-6)
        let logits = try Torch.withoutGradients { try model.logits(batch.inputs, batch.jagged) }
        let probes = try #require(found(expected, "probe_logits_float64") as? [String: [Double]])
        for (place, theirs) in probes {
            let numbers = place.split(separator: ",").compactMap { Int($0) }
            let ours = try logits.narrow(0, batch.jagged.offsets[numbers[0]] + numbers[1], 1).doubles()
            // 2.8 is the largest logit.
            for (token, logit) in zip([0, 1, 4096, 8193], theirs) {
                #expect(abs(ours[token] - logit) < 2.8 * 5e-6, "\(place)")
            }
        }
    }

    @Test(arguments: [8, 4])
    func `the tokenizer of the released size gives the original's codes and losses`(_ heads: Int) throws {
        let all = golden["tokenizer"], expected = try found(all, "heads_\(heads)")
        var shape = TokenizerConfiguration()
        shape.heads = heads
        let tokenizer = try Tokenizer(shape)
        #expect(try Self.fill(tokenizer.parameters) == found(all, "parameters_filled") as? Int)
        let lengths = try #require(found(all, "constituents") as? [Int]), jagged = Jagged(lengths: lengths)
        let values = lengths.enumerated().flatMap { jet, count in
            (0..<3 * count).map { Float(Self.number(UInt64(2_000_000_000 + 1000 * jet + $0))) }
        }
        let x = try Tensor.of(values, [jagged.rows, 3])
        let loss = try tokenizer.loss(x, jagged, positions: .released, padLength: 128)
        for (name, ours) in [("reco", loss.reconstruction), ("cmt", loss.codebook), ("loss", loss.total)] {
            let theirs = try #require(found(expected, name) as? Double)
            #expect(abs(try ours.item() / theirs - 1) < 5e-6, "\(name)")
        }
        let codes = try loss.index.integers()
        #expect(Array(codes[jagged.offsets[2]...]) == (try found(expected, "tokens_jet2") as? [Int64]))
        #expect(Array(codes[jagged.offsets[1]...].prefix(8)) == (try found(expected, "tokens_jet1_first8") as? [Int64]))
        #expect(Set(codes).count == (try found(expected, "distinct_codes_on_real") as? Int))
        for (name, ours) in [("z_e", loss.latents), ("x_reco", loss.features)] {
            let theirs = try #require(found(expected, name) as? [String: Double]), own = try ours.detached().doubles()
            let size = max(abs(theirs["min"] ?? 0), abs(theirs["max"] ?? 0))
            #expect(abs((own.max() ?? 0) - (theirs["max"] ?? 0)) < 5e-6 * size, "\(name)")
            #expect(abs(own.reduce(0) { $0 + abs($1) } / (theirs["sum_abs"] ?? 0) - 1) < 5e-6, "\(name)")
            #expect(abs(own.reduce(0) { $0 + $1 * $1 } / (theirs["sum_sq"] ?? 0) - 1) < 1e-5, "\(name)")
        }
    }
}
