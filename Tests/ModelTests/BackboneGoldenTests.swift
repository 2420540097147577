import Model
import Testing
import Torch

@Suite(.enabled(if: Golden.isThere, Golden.comment), .serialized)
struct BackboneGoldenTests {
    private let golden: Golden
    private let lengths: [Int]

    init() throws {
        golden = try Golden("backbone_generative")
        lengths = try golden.lengths()
    }

    static func configuration(_ golden: Golden) throws -> BackboneConfiguration {
        var shape = BackboneConfiguration()
        shape.vocabulary = try golden.integer("config", "vocab_size")
        shape.width = try golden.integer("config", "embedding_dim")
        shape.blocks = try golden.integer("config", "n_GPT_blocks")
        shape.heads = try golden.integer("config", "n_heads")
        shape.length = try golden.integer("config", "max_sequence_len")
        return shape
    }

    private func model() throws -> GenerativeModel {
        let model = try GenerativeModel(Self.configuration(golden))
        let report = try model.parameters.load(golden.tensors("param/"))
        #expect(report.missing.isEmpty && report.unexpected.isEmpty)
        return model
    }

    private func batch() throws -> TokenBatch {
        TokenBatch(
            inputs: try golden.packed("in/input", lengths), targets: try golden.packed("in/target", lengths),
            jagged: Jagged(lengths: lengths))
    }

    @Test func `pairs of inputs and targets are the original's`() throws {
        let values = try golden.tensor("in/sequences_values").integers()
        let offsets = try golden.tensor("in/sequences_offsets").integers().map { Int($0) }
        let sequences = zip(offsets, offsets.dropFirst()).map { Array(values[$0..<$1]) }
        let made = try TokenBatch(sequences: sequences, length: Self.configuration(golden).length),
            expected = try batch()
        #expect(try made.inputs.integers() == expected.inputs.integers())
        #expect(try made.targets.integers() == expected.targets.integers())
        #expect(made.jagged == expected.jagged)
    }

    @Test func `logits and losses of packed jets are those of the padded original`() throws {
        let model = try model(), batch = try batch()
        let logits = try model.logits(batch.inputs, batch.jagged)
        #expect(try relativeDifference(logits, golden.packed("out/logits", lengths)) < 5e-6)
        let embeddings = try model.backbone.embeddings(batch.inputs, batch.jagged)
        #expect(try relativeDifference(embeddings, golden.packed("out/embeddings", lengths)) < 5e-6)
        for (positions, name) in [(LossPositions.real, "loss_masked"), (.released, "loss")] {
            let expected = try golden.number("scalars", "float64", name)
            #expect(abs(try model.loss(batch, positions: positions).item() / expected - 1) < 5e-6, "\(name)")
        }
    }

    @Test func `padded positions of the first public version see all before them alike`() throws {
        let model = try model(), batch = try batch(), length = try golden.integer("config", "max_sequence_len")
        let expected = try golden.number("scalars", "first_public_version", "loss")
        #expect(abs(try model.loss(batch, positions: .firstPublic).item() / expected - 1) < 5e-6)
        let all = Jagged(lengths: Array(repeating: length, count: lengths.count))
        let embeddings = try model.backbone.embeddings(
            golden.tensor("in/input").reshape([all.rows]), all, visible: lengths, isPaddingUniform: true)
        let logits = try embeddings.linear(
            #require(model.parameters["head.fc1.weight"]), model.parameters["head.fc1.bias"]
        )
        let theirs = try golden.tensor("out/logits_first_public_version")
        #expect(try relativeDifference(logits, theirs.reshape(logits.shape)) < 5e-6)
    }

    @Test func `gradients of both losses are the original's`() throws {
        for (positions, prefix) in [(LossPositions.real, "grad_masked/"), (.released, "grad_released/")] {
            let model = try model()
            try model.loss(batch(), positions: positions).backward()
            #expect(try model.parameters.gradientDifference(golden.tensors(prefix)) < 5e-6, "\(prefix)")
        }
    }

    @Test func `parameters after steps of each optimizer are the original's`() throws {
        let centralised = OptimizerConfiguration(.ranger)
        var plain = centralised
        plain.centralises = .nothing
        let runs: [(String, OptimizerConfiguration, LossPositions)] = [
            ("adamw", .adamW(), .released), ("adamw_masked", .adamW(), .real),
            ("ranger_gc", centralised, .real),
            ("ranger_nogc", plain, .real),
        ]
        for (name, configuration, positions) in runs {
            let model = try model(), batch = try batch()
            let optimizer = try Optimizer(configuration, model.parameters)
            let losses: [Double] = try golden.value("scalars", name, "loss")
            let norms: [Double] = try golden.value("scalars", name, "grad_norm_before_clip")
            for step in 1...losses.count {
                let loss = try model.loss(batch, positions: positions)
                #expect(abs(try loss.item() / losses[step - 1] - 1) < 1e-5, "\(name) loss \(step)")
                try loss.backward()
                let norm = try optimizer.step(rate: configuration.rate, clip: 5)
                #expect(abs(norm / norms[step - 1] - 1) < 1e-4, "\(name) norm \(step)")
                let expected = try golden.tensors("\(name)/step\(step)/")
                if !expected.isEmpty {
                    #expect(try model.parameters.difference(expected) < 5e-6, "\(name) step \(step)")
                }
            }
        }
    }

    @Test func `tokens outside the vocabulary are refused`() throws {
        let model = try model()
        #expect(throws: ModelError.self) {
            try model.logits(Tensor.of([0, Int64(model.configuration.vocabulary)]), Jagged(lengths: [2]))
        }
        #expect(throws: ModelError.self) { try TokenBatch(sequences: [[0, 3], [0]], length: 12) }
    }

    @Test func `weights of another shape are refused, and missing ones are counted`() throws {
        let model = try model()
        var weights = try golden.tensors("param/")
        weights["head.fc1.bias"] = nil
        weights["head.other"] = try Tensor.zeros([1])
        let report = try model.parameters.load(weights, isStrict: false)
        #expect(report.missing == ["head.fc1.bias"] && report.unexpected == ["head.other"])
        #expect(throws: ModelError.self) { try model.parameters.load(weights) }
        weights["head.fc1.weight"] = try Tensor.zeros([3, 3])
        let error = #expect(throws: ModelError.self) { try model.parameters.load(weights, isStrict: false) }
        #expect(error?.place == "head.fc1.weight")
    }
}
