import Convert
import Foundation
import Loader
import Model
import Shards
import Support
import TestSupport
import Testing
import Torch

@Suite(.serialized) struct JetDatasetTests {
    private static func model(codes: Int = 12) throws -> GenerativeModel {
        try Torch.seed(9)
        var shape = BackboneConfiguration()
        (shape.vocabulary, shape.width, shape.blocks, shape.heads, shape.length) = (codes + 2, 16, 1, 2, 9)
        return try GenerativeModel(shape)
    }

    private static func features() throws -> FeatureConfiguration {
        try FeatureConfiguration(
            [
                Feature("part_pt", function: .log, subtractBy: 1.8), Feature("part_etarel", multiplyBy: 3),
                Feature("part_phirel", multiplyBy: 3),
            ], padLength: 9)
    }

    private static func writer(_ path: String, _ tokenizer: Tokenizer) throws -> JetDatasetWriter {
        var writer = try JetDatasetWriter(output: path, tokenizer: tokenizer, features: features())
        (writer.batch, writer.options.batchRows, writer.options.shardBytes) = (50, 100, 20_000)
        return writer
    }

    @Test func `generated jets are a dataset that a loader, verify and export take`() throws {
        let directory = try TemporaryDirectory(inMemory: true), path = directory.file("made.pando")
        let tokenizer = try TokenSamples.tokenizer(), model = try Self.model()
        var drawing = GenerationOptions()
        drawing.seed = 11
        let report = try Self.writer(path, tokenizer).generate(
            jets: 420, from: model, options: drawing, provenance: ["checkpoint": "best.safetensors"])
        let tokens = try model.generate(jets: 0..<420, options: drawing).tokens
        let catalogue = report.catalogue
        #expect(catalogue.rows == 420 && catalogue.constituents == tokens.reduce(0) { $0 + $1.count })
        #expect(report.emptyJets == tokens.count { $0.isEmpty } && report.emptyJets > 0)
        #expect(catalogue.fullJets == tokens.count { $0.count == 9 })
        #expect(try TokenSamples.isSound(path))
        let options = catalogue.provenance.options
        #expect(options["tokenizer"] == (try tokenizer.fingerprint().hex) && options["seed"] == "11")
        #expect(options["model"] == (try model.fingerprint().hex) && options["checkpoint"] == "best.safetensors")
        #expect(catalogue.splits?.parts.allSatisfy { $0.rows > 0 } == true)

        // pt, etarel and phirel as the tokenizer decodes them, about the axis of the jet's sum.
        let jagged = Jagged(lengths: tokens.filter { !$0.isEmpty }.map(\.count))
        let decoded = try tokenizer.features(ofCodes: Tensor.of(tokens.joined().map { $0 - 1 }), jagged).doubles()
        let columns = [
            "px", "py", "pz", "E", "jet_pt", "jet_eta", "jet_phi", "jet_mass", "sum_pt", "sum_eta", "sum_phi",
            "sum_mass", "event",
            "run",
        ]
        var contents = LoaderContents(
            columns: columns,
            features: try FeatureConfiguration([Feature("pt"), Feature("eta_rel"), Feature("phi_rel")]))
        contents.isJagged = true
        var row = 0, jets = 0
        try TokenSamples.inOrder(path, contents) { batch in
            let jet = try columns[4..<12].map { try #require(batch.floats($0)) }
            #expect(try #require(batch.integers("event")).elementsEqual(Int64(jets)..<Int64(jets + batch.rows)))
            #expect(try #require(batch.integers("run")).allSatisfy { $0 == 0 })
            for index in 0..<batch.rows {
                for part in 0..<4 { #expect(jet[part][index] == jet[part + 4][index]) }
                for place in Int(batch.featureOffsets[index])..<Int(batch.featureOffsets[index + 1]) {
                    let pt = exp(decoded[3 * row] + 1.8), eta = decoded[3 * row + 1] / 3, phi = decoded[3 * row + 2] / 3
                    #expect(abs(Double(batch.features[3 * place]) / pt - 1) < 1e-6)
                    #expect(abs(Double(batch.features[3 * place + 1] + jet[1][index]) - eta) < 1e-6)
                    #expect(abs(Double(batch.features[3 * place + 2] + jet[2][index]) - phi) < 1e-6)
                    row += 1
                }
            }
            jets += batch.rows
        }
        #expect(row == jagged.rows && jets == 420)

        let files = try Exporter(dataset: path, output: directory.file("out")).run()
        #expect(files.map(\.file) == [directory.file("out/generated.h5")])
        let again = try Converter(
            inputs: [files[0].file], output: directory.file("again"), schema: SourceSchema(named: "generated"),
            options: .init()
        ).run()
        #expect(again.rows == 420 && again.constituents == catalogue.constituents)
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: Package.tool), "the tool is not built"))
    func `the tool looks at, verifies and exports tokens and jets`() throws {
        let directory = try TemporaryDirectory(inMemory: true), tokenizer = try TokenSamples.tokenizer()
        let (jets, tokens, back) = (
            directory.file("jets.pando"), directory.file("tokens.pando"), directory.file("back.pando")
        )
        _ = try TokenSamples.jets(jets)
        _ = try TokenDatasetWriter(
            dataset: jets, output: tokens, tokenizer: tokenizer, features: TokenSamples.features()
        ).run()
        _ = try Self.writer(back, tokenizer).reconstruct(tokens: tokens)
        for (path, column) in [(tokens, "code"), (back, "sum_mass")] {
            let inspected = try Run(["inspect", path])
            #expect(inspected.status == 0 && inspected.output.contains(column), "\(inspected.errors)")
            let jet = try Run(["inspect", path, "--rows", "3"])
            #expect(jet.status == 0 && jet.output.contains("row 3"), "\(jet.errors)")
            let verified = try Run(["verify", "--lossless", path])
            #expect(verified.status == 0, "\(verified.errors)")
            let exported = try Run(["export", path, directory.file("out"), "--quiet"])
            #expect(exported.status == 0 && exported.errors.isEmpty, "\(exported.errors)")
        }
        // Named after what they were made of.
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.file("out")).sorted()
        #expect(files == ["jets.h5", "tokens.h5"])
    }

    @Test func `stopped and begun again, it ends with the same bytes`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let tokenizer = try TokenSamples.tokenizer(), model = try Self.model()
        let whole = try Self.writer(directory.file("whole"), tokenizer).generate(jets: 1000, from: model)
        #expect(whole.catalogue.shards.count > 2)
        var writer = try Self.writer(directory.file("parts"), tokenizer), asked = 0
        writer.isInterrupted = {
            asked += 1
            return asked > 15
        }
        #expect(throws: ConvertError.self) { try writer.generate(jets: 1000, from: model) }
        #expect(throws: DatasetError.self) { try Dataset(directory: directory.file("parts")) }
        var other = GenerationOptions()
        other.seed = 2
        #expect(throws: DatasetError.self) {
            try Self.writer(directory.file("parts"), tokenizer).generate(jets: 1000, from: model, options: other)
        }
        let again = try Self.writer(directory.file("parts"), tokenizer).generate(jets: 1000, from: model)
        #expect(again.emptyJets == whole.emptyJets)
        #expect(try contents(of: directory.file("parts")) == contents(of: directory.file("whole")))
    }

    @Test func `tokens and models of another tokenizer are refused`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let (jets, tokens) = (directory.file("jets"), directory.file("tokens"))
        _ = try TokenSamples.jets(jets)
        let tokenizer = try TokenSamples.tokenizer()
        _ = try TokenDatasetWriter(
            dataset: jets, output: tokens, tokenizer: tokenizer, features: TokenSamples.features()
        ).run()
        #expect(throws: ModelError.self) {
            try Self.writer(directory.file("x"), TokenSamples.tokenizer(seed: 6)).reconstruct(tokens: tokens)
        }
        #expect(throws: ModelError.self) { try Self.writer(directory.file("x"), tokenizer).reconstruct(tokens: jets) }
        #expect(throws: ModelError.self) {
            try Self.writer(directory.file("x"), tokenizer).generate(jets: 5, from: Self.model(codes: 13))
        }
        #expect(throws: ModelError.self) {
            try JetDatasetWriter(
                output: directory.file("x"), tokenizer: TokenSamples.tokenizer(inputs: 2),
                features: FeatureConfiguration([Feature("part_pt"), Feature("part_etarel")]))
        }
        #expect(!FileManager.default.fileExists(atPath: directory.file("x")))
        // Rows stay, also those without codes.
        let report = try Self.writer(directory.file("back"), tokenizer).reconstruct(tokens: tokens)
        #expect(report.catalogue.rows == 1727 && report.emptyJets > 0)
        #expect(report.catalogue.provenance.inputs.map(\.name) == [tokens])
        #expect(try TokenSamples.isSound(directory.file("back")))
    }

    @Test func `no jets are a dataset too`() throws {
        let directory = try TemporaryDirectory(inMemory: true), tokenizer = try TokenSamples.tokenizer()
        let report = try Self.writer(directory.file("none"), tokenizer).generate(jets: 0, from: Self.model())
        #expect(report.catalogue.rows == 0 && report.emptyJets == 0)
        let tokens = try TokenDatasetWriter(
            dataset: directory.file("none"), output: directory.file("tokens"), tokenizer: tokenizer,
            features: Self.features()
        ).run()
        #expect(tokens.catalogue.rows == 0)
        let back = try Self.writer(directory.file("back"), tokenizer).reconstruct(tokens: directory.file("tokens"))
        #expect(back.catalogue.rows == 0)
    }
}
