import Model
import Testing
import Torch

@Suite(.enabled(if: Golden.isThere, Golden.comment), .serialized)
struct TokenizerGoldenTests {
    static func configuration(_ golden: Golden) throws -> TokenizerConfiguration {
        var shape = TokenizerConfiguration()
        let kind: String = try golden.value("config", "model_type")
        shape.kind = kind.contains("MLP") ? .mlp : .normFormer
        shape.inputs = try golden.integer("config", "model_kwargs", "input_dim")
        shape.latent = try golden.integer("config", "model_kwargs", "latent_dim")
        if shape.kind == .normFormer {
            shape.width = try golden.integer("config", "model_kwargs", "hidden_dim")
            shape.blocks = try golden.integer("config", "model_kwargs", "num_blocks")
            shape.heads = try golden.integer("config", "model_kwargs", "num_heads")
        } else {
            shape.encoderLayers = try golden.value("config", "model_kwargs", "encoder_layers")
            shape.decoderLayers = try golden.value("config", "model_kwargs", "decoder_layers")
        }
        shape.alpha = try golden.number("config", "model_kwargs", "alpha")
        shape.codes = try golden.integer("config", "model_kwargs", "vq_kwargs", "num_codes")
        shape.beta = try golden.number("config", "model_kwargs", "vq_kwargs", "beta")
        shape.affineRate = try golden.number("config", "model_kwargs", "vq_kwargs", "affine_lr")
        shape.synchronisation = try golden.number("config", "model_kwargs", "vq_kwargs", "sync_nu")
        shape.replaceFrequency = try golden.integer("config", "model_kwargs", "vq_kwargs", "replace_freq")
        return shape
    }

    private func tokenizer(_ golden: Golden) throws -> Tokenizer {
        let tokenizer = try Tokenizer(Self.configuration(golden))
        let report = try tokenizer.parameters.load(golden.tensors("param/"))
        #expect(report.missing.isEmpty)
        return tokenizer
    }

    private func padLength(_ golden: Golden) throws -> Int { try golden.arrays.entry("in/mask").shape[1] }

    @Test(arguments: ["tokenizer_normformer", "tokenizer_mlp"])
    func `codes, features and losses are the original's`(_ name: String) throws {
        let golden = try Golden(name), tokenizer = try tokenizer(golden), lengths = try golden.lengths()
        let x = try golden.packed("in/x", lengths), jagged = Jagged(lengths: lengths), pad = try padLength(golden)
        let real = try tokenizer.loss(x, jagged, padLength: pad)
        #expect(try relativeDifference(real.latents, golden.packed("out/z_e", lengths)) < 5e-6)
        #expect(try relativeDifference(real.passed, golden.packed("out/z_st", lengths)) < 5e-6)
        #expect(try relativeDifference(real.features, golden.packed("out/x_reco", lengths)) < 5e-6)
        let codes = try golden.packed("out/q", lengths).reshape([jagged.rows])
        #expect(try real.index.integers() == codes.integers())
        #expect(try tokenizer.codes(of: x, jagged).integers() == codes.integers())
        #expect(try relativeDifference(tokenizer.features(ofCodes: codes, jagged), real.features.detached()) < 5e-6)
        let released = try tokenizer.loss(x, jagged, positions: .released, padLength: pad)
        for (found, suffix) in [(real, "_masked"), (released, "")] {
            for (part, name) in [(found.total, "loss"), (found.reconstruction, "reco"), (found.codebook, "cmt")] {
                let expected = try golden.number("scalars", "float64", name + suffix)
                #expect(abs(try part.item() / expected - 1) < 5e-6, "\(name)\(suffix)")
            }
        }
    }

    @Test(arguments: ["tokenizer_normformer", "tokenizer_mlp"])
    func `gradients of both losses are the original's`(_ name: String) throws {
        let golden = try Golden(name), lengths = try golden.lengths()
        let x = try golden.packed("in/x", lengths), jagged = Jagged(lengths: lengths)
        for (positions, prefix) in [(LossPositions.real, "grad_masked/"), (.released, "grad_released/")] {
            let tokenizer = try tokenizer(golden)
            try tokenizer.loss(x, jagged, positions: positions, padLength: padLength(golden)).total.backward()
            #expect(try tokenizer.parameters.gradientDifference(golden.tensors(prefix)) < 5e-6, "\(prefix)")
        }
    }

    @Test(arguments: ["tokenizer_normformer", "tokenizer_mlp"])
    func `parameters after steps are the original's`(_ name: String) throws {
        let golden = try Golden(name), lengths = try golden.lengths()
        let x = try golden.packed("in/x", lengths), jagged = Jagged(lengths: lengths), pad = try padLength(golden)
        let runs: [(String, OptimizerConfiguration, LossPositions)] = [
            ("adamw", .adamW(), .released), ("adamw_masked", .adamW(), .real),
            ("ranger_gc", OptimizerConfiguration(.ranger), .released),
        ]
        for (run, configuration, positions) in runs
        where golden.arrays.names.contains(where: { $0.hasPrefix("\(run)/") }) {
            let tokenizer = try tokenizer(golden)
            let optimizer = try Optimizer(configuration, tokenizer.parameters)
            let losses: [Double] = try golden.value("scalars", run, "loss")
            for step in 1...losses.count {
                let loss = try tokenizer.loss(x, jagged, positions: positions, padLength: pad)
                #expect(abs(try loss.total.item() / losses[step - 1] - 1) < 1e-5, "\(run) loss \(step)")
                // The recorded runs count the code of padded positions whatever the loss.
                try tokenizer.keepUp(loss, jagged, positions: .released, padLength: pad)
                try loss.total.backward()
                try optimizer.step(rate: configuration.rate, clip: 5)
                let expected = try golden.tensors("\(run)/step\(step)/")
                if !expected.isEmpty {
                    #expect(try tokenizer.parameters.difference(expected) < 5e-6, "\(run) step \(step)")
                }
            }
        }
    }

    @Test func `dead codes are replaced as in a recorded run`() throws {
        let golden = try Golden("codebook_replacement")
        var shape = TokenizerConfiguration()
        shape.codes = try golden.integer("config", "num_codes")
        shape.latent = try golden.integer("config", "feature_size")
        shape.replaceFrequency = try golden.integer("config", "replace_freq")
        shape.startsFromData = false
        let parameters = Parameters()
        let codebook = try Codebook(parameters, "c", shape)
        let weights = [
            "c.codebook.weight": try golden.tensor("codebook0"),
            "c.affine_transform.scale": try golden.tensor("affine_scale"),
            "c.affine_transform.bias": try golden.tensor("affine_bias"),
        ]
        _ = try parameters.load(weights, isStrict: false)
        let replaced: [Int] = try golden.value("replaced_per_step")
        for step in 1...replaced.count {
            let z = try golden.tensor("step\(step)/z").reshape([10, shape.latent])
            let found = try codebook.quantise(z)
            #expect(try found.index.integers() == golden.tensor("step\(step)/q").integers())
            #expect(
                try relativeDifference(found.codes.detached(), golden.tensor("step\(step)/z_q").reshape([10, 4])) < 5e-6
            )
            let draws = Codebook.Draws(
                first: { _ in 0 }, permutation: { _ in try golden.tensor("step\(step)/permutation") },
                noise: { _, _ in try golden.tensor("step\(step)/noise") })
            try codebook.keepUp(z, found.index, isReleased: true, draws: draws)
            #expect(
                try relativeDifference(codebook.weight.detached(), golden.tensor("step\(step)/codebook_after")) < 5e-6)
            #expect(try parameters["c._counts"]?.floats() == golden.tensor("step\(step)/counts_after").floats())
        }
    }

    @Test func `the codebook begins as the original's k-means makes it`() throws {
        let golden = try Golden("codebook_kmeans")
        let z = try golden.tensor("z"), rows = z.size(0) * z.size(1), width = z.size(2)
        let found = try KMeans(
            z.reshape([rows, width]), codes: golden.arrays.entry("codebook_before").shape[0], first: { _ in 17 })
        #expect(try relativeDifference(found.centres, golden.tensor("codebook_after")) < 5e-6)
        let errors: [Double] = try golden.value("iteration_errors")
        #expect(found.movements.count == errors.count)
        #expect(throws: ModelError.self) { try KMeans(Tensor.zeros([4, 2]), codes: 16) { _ in 0 } }
    }
}
