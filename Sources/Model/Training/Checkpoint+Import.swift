import Foundation
import Loader
import SafeTensors
import Shards
import Torch

extension Checkpoint {
    /// Takes over a checkpoint of the original OmniJet-alpha, as Lightning writes it: the architecture from its hyper-parameters and shapes,
    /// the preprocessing from its data module.
    /// - Returns: Also what was taken over and what was left; buffers of causal masks are neither.
    /// - Throws: `SafeTensorsError` if the file cannot be read; `ModelError` with code `weights` if it holds no such model.
    public static func importing(_ path: String) throws -> (Checkpoint, Parameters.LoadReport) {
        let source = try PyTorchCheckpoint(path: path)
        let names = Set(source.names)
        let description = try describe(source, names, path)
        var weights: [String: Tensor] = [:]
        for name in source.names where !name.hasSuffix(".tril") {
            let entry = try source.entry(name), values = try source.floats(name)
            weights[Self.presentName(name)] = try Tensor.of(values, entry.shape)
        }
        let parameters: Parameters
        switch description.kind {
        case .tokenizer: parameters = try Tokenizer(description.tokenizer ?? .init()).parameters
        case .generative: parameters = try GenerativeModel(description.backbone ?? .init()).parameters
        case .classifier:
            parameters = try Classifier(
                description.backbone ?? .init(), head: description.head ?? .summation, classes: description.classes ?? 2
            ).parameters
        }
        let report = try parameters.load(weights, isStrict: false, file: path)
        guard report.missing.isEmpty else {
            throw ModelError(
                .weights, file: path, place: report.missing[0],
                message: "is missing, with \(report.missing.count - 1) others",
                advice: "is it a checkpoint of a \(description.kind.rawValue)?")
        }
        if let started = parameters["model.vqlayer.data_initialized"], try started.item() == 0 {
            throw ModelError(
                .weights, file: path, place: "model.vqlayer.data_initialized",
                message: "is 0: its codebook has not begun, and training would replace it")
        }
        return (Checkpoint(description, weights: parameters.named), report)
    }

    /// Names of the older class `VQVAETransformer` in those of the present one.
    private static let renamed = [
        ("model.encoder.project_in.", "model.input_projection."),
        ("model.encoder.blocks.", "model.encoder_normformer.blocks."),
        ("model.encoder.project_out.", "model.latent_projection_in."),
        ("model.decoder.project_in.", "model.latent_projection_out."),
        ("model.decoder.blocks.", "model.decoder_normformer.blocks."),
        ("model.decoder.project_out.", "model.output_projection."),
    ]

    private static func presentName(_ name: String) -> String {
        for (old, new) in renamed where name.hasPrefix(old) { return new + name.dropFirst(old.count) }
        return name
    }

    private static func describe(
        _ source: PyTorchCheckpoint, _ names: Set<String>, _ path: String
    ) throws -> CheckpointDescription {
        let settings = source.hyperParameters?["model_kwargs"]
        func shape(_ name: String) throws -> [Int] { try source.entry(name).shape }
        func count(_ prefix: String) -> Int {
            Set(
                names.filter { $0.hasPrefix(prefix) }.compactMap {
                    $0.dropFirst(prefix.count).split(separator: ".").first
                }
            ).count
        }
        func setting(_ name: String) throws -> Int {
            guard let value = settings?[name]?.int else {
                throw ModelError(
                    .weights, file: path, place: "hyper_parameters.model_kwargs.\(name)",
                    message: "is missing, and shapes do not tell it")
            }
            return value
        }
        if names.contains("model.vqlayer.codebook.weight") {
            var description = CheckpointDescription(.tokenizer)
            description.tokenizer = try tokenizer(source, names, settings, shape, count, setting)
            description.features = try features(source, path)
            return description
        }
        guard names.contains("module.embedding_table.weight") else {
            throw ModelError(.weights, file: path, message: "holds neither a tokenizer nor a backbone of OmniJet-alpha")
        }
        var backbone = BackboneConfiguration()
        let table = try shape("module.embedding_table.weight")
        guard table.count == 2 else {
            throw ModelError(.weights, file: path, message: "has an embedding of shape \(table)")
        }
        (backbone.vocabulary, backbone.width) = (table[0], table[1])
        backbone.blocks = count("module.GPT_blocks.")
        backbone.heads = try setting("n_heads")
        backbone.length = try setting("max_sequence_len")
        backbone.dropout = settings?["attention_dropout"]?.double ?? 0
        let isClassifier = !names.contains("head.fc1.weight")
        var description = CheckpointDescription(isClassifier ? .classifier : .generative)
        description.backbone = backbone
        if isClassifier {
            let isSummation = names.contains("head.classification_head_linear_class.weight")
            description.head = isSummation ? .summation : .classAttention
            description.classes =
                try shape(isSummation ? "head.classification_head_linear_class.weight" : "head.final_mlp.6.weight")
                .first
        }
        return description
    }

    private static func tokenizer(
        _ source: PyTorchCheckpoint, _ names: Set<String>, _ settings: PickleValue?, _ shape: (String) throws -> [Int],
        _ count: (String) -> Int, _ setting: (String) throws -> Int
    ) throws -> TokenizerConfiguration {
        var tokenizer = TokenizerConfiguration()
        let codebook = try shape("model.vqlayer.codebook.weight")
        (tokenizer.codes, tokenizer.latent) = (codebook.first ?? 0, codebook.last ?? 0)
        let quantiser = settings?["vq_kwargs"]
        tokenizer.alpha = settings?["alpha"]?.double ?? tokenizer.alpha
        tokenizer.beta = quantiser?["beta"]?.double ?? tokenizer.beta
        tokenizer.affineRate =
            names.contains("model.vqlayer.affine_transform.scale")
            ? quantiser?["affine_lr"]?.double ?? tokenizer.affineRate : 0
        tokenizer.synchronisation = quantiser?["sync_nu"]?.double ?? tokenizer.synchronisation
        tokenizer.startsFromData = names.contains("model.vqlayer.data_initialized")
        tokenizer.replaceFrequency =
            names.contains("model.vqlayer._counts") ? quantiser?["replace_freq"]?.int ?? tokenizer.replaceFrequency : 0
        let present = Set(names.map(presentName))
        if present.contains("model.input_projection.weight") {
            let old =
                names.contains("model.input_projection.weight") ? "model.input_projection" : "model.encoder.project_in"
            let input = try shape("\(old).weight")
            (tokenizer.width, tokenizer.inputs) = (input.first ?? 0, input.last ?? 0)
            tokenizer.blocks = max(count("model.encoder_normformer.blocks."), count("model.encoder.blocks."))
            tokenizer.heads = try setting("num_heads")
            return tokenizer
        }
        tokenizer.kind = .mlp
        func widths(_ name: String) throws -> [[Int]] {
            if names.contains("model.\(name).weight") { return [try shape("model.\(name).weight")] }
            return try (0..<count("model.\(name).")).map { try shape("model.\(name).\(2 * $0).weight") }
        }
        let encoder = try widths("encoder"), decoder = try widths("decoder")
        tokenizer.inputs = encoder.first?.last ?? 0
        tokenizer.encoderLayers = encoder.dropLast().compactMap(\.first)
        tokenizer.decoderLayers = decoder.dropLast().compactMap(\.first)
        return tokenizer
    }

    /// The preprocessing of the data module; that of the releases where there is none.
    private static func features(_ source: PyTorchCheckpoint, _ path: String) throws -> FeatureConfiguration {
        let common = source.root["datamodule_hyper_parameters"]?["dataset_kwargs_common"]
        guard let dictionary = common?["feature_dict"]?.dictionary else { return .released }
        // The order of the features is that of the text.
        let members = try dictionary.map { key, value in
            let settings = try (value.dictionary?.map { $0 } ?? []).compactMap { key, value -> String? in
                guard let name = key.string else { return nil }
                if let text = value.string { return try "\(CanonicalJSON.text(name)): \(CanonicalJSON.text(text))" }
                return try value.double.map { try "\(CanonicalJSON.text(name)): \(CanonicalJSON.text($0))" }
            }
            return try "\(CanonicalJSON.text(key.string ?? "")): {\(settings.joined(separator: ", "))}"
        }
        let length = common?["pad_length"]?.int ?? 128
        return try FeatureConfiguration(
            json: #"{"features": {\#(members.joined(separator: ", "))}, "pad_length": \#(length)}"#)
    }
}
