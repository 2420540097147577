import Shards
import Support

/// Which tokenizer made the tokens of datasets: backbones and datasets of different ones do not belong together.
struct TokenOrigin {
    /// The tokenizer's fingerprint.
    let fingerprint: Digest?

    /// The option of a dataset's provenance that holds it.
    static let option = "tokenizer"
    /// The option that holds the number of its codes.
    static let codesOption = "codes"

    /// What should be known of the datasets.
    let remarks: [String]

    /// - Throws: `ModelError` with code `input` if the datasets' tokens are of different tokenizers, do not fit the vocabulary, or there are jets
    ///   without any that were not asked to be passed over.
    init(_ configuration: TrainingConfiguration) throws {
        var found: (fingerprint: Digest, dataset: String)?
        var remarks: [String] = []
        for path in configuration.data.datasets + configuration.validation.datasets {
            let catalogue = try Dataset.readCatalogue(path), options = catalogue.provenance.options
            guard let text = options[Self.option], let fingerprint = Digest(hex: text),
                let codes = options[Self.codesOption].flatMap({ Int($0) })
            else {
                throw ModelError(
                    .input, file: path, message: "holds no tokens",
                    advice: "make a dataset of them with 'omnijet tokenize'")
            }
            guard codes + 2 == configuration.backbone.vocabulary else {
                throw ModelError(
                    .configuration, file: path,
                    message:
                        "holds tokens of \(codes) codes, which make a vocabulary of \(codes + 2), and the backbone's is "
                        + "\(configuration.backbone.vocabulary)",
                    advice: "set backbone.vocabulary=\(codes + 2)")
            }
            if let found, found.fingerprint != fingerprint {
                throw ModelError(
                    .input, file: path,
                    message: "holds tokens of tokenizer \(fingerprint), \(found.dataset) those of \(found.fingerprint)")
            }
            found = (fingerprint, path)
            let range = catalogue.columns.first { $0.name == TokenRows.column }?.statistics
            if let range, (range.minimum ?? 0) < 0 || (range.maximum ?? 0) >= Double(codes) {
                throw ModelError(
                    .input, file: path, place: "column \(TokenRows.column)",
                    message: "holds codes \(range.minimum ?? 0) to \(range.maximum ?? 0), expected 0 to \(codes - 1)",
                    advice: "make the dataset again with 'omnijet tokenize'")
            }
            if let empty = catalogue.emptyJets, empty > 0 {
                guard configuration.data.emptyJets == .skip else {
                    throw ModelError(
                        .input, file: path,
                        message:
                            "holds \(empty) jets without codes among \(catalogue.rows), which no model can learn from",
                        advice: "set data.emptyJets=skip to pass over them")
                }
                remarks.append("\(path): \(empty) of \(catalogue.rows) jets have no codes and are passed over")
            }
        }
        fingerprint = found?.fingerprint
        self.remarks = remarks
    }

    /// - Throws: `ModelError` with code `weights` if a checkpoint was trained on tokens of another tokenizer.
    func check(_ checkpoint: Checkpoint, _ file: String) throws {
        guard let theirs = checkpoint.description.tokenizerFingerprint, let fingerprint, theirs != fingerprint else {
            return
        }
        throw ModelError(
            .weights, file: file,
            message: "was trained on tokens of tokenizer \(theirs), the data hold those of \(fingerprint)",
            advice: "tokenise the data with that tokenizer")
    }
}
