import Shards
import Support

/// Jets of a dataset under a name, with their observables.
public struct ComparedJets: Sendable {
    /// The name in tables and legends.
    public var name: String
    /// The directory of the dataset, and which jets of it.
    public var origin: String
    /// What identifies the dataset.
    public var fingerprint: String
    /// How the dataset was made: its command, and what it was made of.
    public var provenance: String
    /// The observables, and the constituents if these were kept.
    public var table: ObservableTable

    /// Computes observables of jets of a dataset.
    /// - Throws: What `JetSample.observables` throws; `EvaluationError` with code `sample` if no jet is left.
    public init(_ name: String, _ sample: JetSample, groups: ObservableGroups) throws {
        let catalogue = try Dataset.readCatalogue(sample.dataset)
        self.name = name
        table = try sample.observables(groups)
        guard table.rows > 0 else {
            throw EvaluationError(
                .sample, file: sample.dataset, message: "has no jets with these choices",
                advice: "look at its splits and labels with 'pando inspect'")
        }
        var parts = [sample.dataset]
        if let split = sample.split { parts.append("split \(split)") }
        if let labels = sample.labels {
            parts.append("label \(labels.sorted().map(String.init).joined(separator: ", "))")
        }
        if let limit = sample.limit, limit < catalogue.rows { parts.append("at most \(limit) jets") }
        if case .tokenizer = sample.view { parts.append("as a tokenizer sees it") }
        origin = parts.joined(separator: ", ")
        fingerprint = catalogue.fingerprint.hex
        let inputs = catalogue.provenance.inputs
        provenance =
            catalogue.provenance.command + " of " + inputs.prefix(3).map(\.name).joined(separator: ", ")
            + (inputs.count > 3 ? " and \(inputs.count - 3) more" : "")
    }

    /// The entries of an observable; NaN where it is not defined.
    func entries(of observable: Observable) -> NamedEntries {
        NamedEntries(name, table[observable.name]?.values ?? [])
    }
}
