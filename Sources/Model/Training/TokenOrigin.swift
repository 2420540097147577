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

    /// - Throws: `ModelError` with code `input` if the datasets' tokens are of different tokenizers, or do not fit the vocabulary.
    init(_ configuration: TrainingConfiguration) throws {
        var found: (fingerprint: Digest, dataset: String)?
        for path in configuration.data.datasets + configuration.validation.datasets {
            let options = try Dataset.readCatalogue(path).provenance.options
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
        }
        fingerprint = found?.fingerprint
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
