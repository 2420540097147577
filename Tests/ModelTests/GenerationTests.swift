import Foundation
import Model
import Testing
import Torch

@Suite(.serialized) struct GenerationTests {
    private static func golden() throws -> (Golden, GenerativeModel) {
        let golden = try Golden("generation")
        let model = try GenerativeModel(BackboneGoldenTests.configuration(golden))
        _ = try model.parameters.load(golden.tensors("param/"))
        return (golden, model)
    }

    @Test(.enabled(if: Golden.isThere, Golden.comment))
    func `jets drawn with given numbers are the original's`() throws {
        let (golden, model) = try Self.golden()
        let numbers = try golden.arrays.doubles("in/uniform"), jets = try golden.arrays.entry("in/uniform").shape[1]
        let found = try model.generate(jets: 0..<jets, uniform: { numbers[$1 * jets + $0] })
        let values = try golden.tensor("inverse_cdf/values").integers()
        let offsets = try golden.tensor("inverse_cdf/offsets").integers().map { Int($0) }
        // The original keeps the start token.
        #expect(found.tokens == zip(offsets, offsets.dropFirst()).map { Array(values[$0..<$1].dropFirst()) })
        let logs = try golden.tensor("inverse_cdf/log_prob_of_chosen").doubles(), steps = model.configuration.length
        for (jet, ours) in found.logProbabilities.enumerated() {
            for (step, value) in ours.enumerated() { #expect(abs(value - logs[jet * steps + step]) < 2e-5) }
        }
        var options = GenerationOptions()
        options.temperature = 0
        let greedy = try model.generate(jets: 0..<2, options: options).tokens
        let raw = try golden.tensor("greedy/raw").integers()
        #expect(greedy[0] == Array(raw[1...steps]) && greedy[1] == greedy[0])
    }

    private static func small(_ seed: UInt64 = 3) throws -> GenerativeModel {
        try Torch.seed(seed)
        var shape = BackboneConfiguration()
        (shape.vocabulary, shape.width, shape.blocks, shape.heads, shape.length) = (9, 16, 2, 4, 10)
        return try GenerativeModel(shape)
    }

    @Test func `with and without a cache, and in any batches, the same seed gives the same jets`() throws {
        let model = try Self.small()
        var options = GenerationOptions()
        options.seed = 7
        let all = try model.generate(jets: 0..<60, options: options)
        options.batch = 7
        #expect(try model.generate(jets: 0..<60, options: options).tokens == all.tokens)
        #expect(try model.generate(jets: 20..<30, options: options).tokens == Array(all.tokens[20..<30]))
        options.seed = 8
        #expect(try model.generate(jets: 0..<60, options: options).tokens != all.tokens)
        // The same draws from logits of whole prefixes.
        options.seed = 7
        for (jet, tokens) in all.tokens.enumerated() {
            let prefix = [0] + tokens
            let logits = try Torch.withoutGradients {
                try model.logits(Tensor.of(prefix), Jagged(lengths: [prefix.count]))
            }
            for step in 0..<min(prefix.count, model.configuration.length) {
                let found = try logits.narrow(0, step, 1).sample(uniform: [
                    GenerativeModel.uniform(seed: options.seed, jet: jet, step: step)
                ]).tokens[0]
                #expect(found == (step < tokens.count ? tokens[step] : Int64(model.configuration.stop)))
            }
        }
    }

    @Test func `tokens come as often as the model's probabilities say`() throws {
        let model = try Self.small(), jets = 20_000
        let first = try model.generate(jets: 0..<jets).tokens.map { $0.first ?? Int64(model.configuration.stop) }
        let logits = try Torch.withoutGradients { try model.logits(Tensor.of([Int64(0)]), Jagged(lengths: [1])) }
        let all = try logits.narrow(1, 1, 8).softmax().doubles()
        var square = 0.0
        for (token, probability) in all.enumerated() {
            let expected = probability * Double(jets), found = Double(first.count { $0 == token + 1 })
            square += (found - expected) * (found - expected) / expected
        }
        // Seven degrees of freedom: above 24.3 once in a thousand times.
        #expect(square < 24.3, "χ² \(square)")
    }

    @Test func `top-k, top-p and temperature leave what they say`() throws {
        let logits = try Tensor.of([9, 3, 2, 1, 0].map { Float($0) }, [1, 5])
        func drawn(_ temperature: Double = 1, _ k: Int? = nil, _ p: Double = 1) throws -> Set<Int64> {
            var found: Set<Int64> = []
            for number in 0..<200 {
                found.insert(
                    try logits.sample(uniform: [Double(number) / 200], temperature: temperature, topK: k, topP: p)
                        .tokens[0])
            }
            return found
        }
        #expect(try drawn() == [1, 2, 3, 4], "the start token is never drawn")
        #expect(try drawn(1, 2) == [1, 2])
        // Probabilities are 0.644, 0.237, 0.087, 0.032.
        #expect(try drawn(1, nil, 0.6) == [1] && drawn(1, nil, 0.7) == [1, 2] && drawn(1, nil, 0.9) == [1, 2, 3])
        #expect(try drawn(0) == [1] && drawn(100).count == 4)
    }
}
