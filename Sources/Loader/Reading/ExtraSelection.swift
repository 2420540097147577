import Shards

/// What labels, features of jets and tokens are made from, by the numbers of fields.
struct ExtraSelection: Sendable {
    /// A column with the codes of constituents.
    struct Tokens: Sendable {
        var pairs: TokenPairs
        var field: Int
    }

    /// Columns of jets, one a class.
    let labels: [Int]
    /// The column that holds the labels themselves.
    let labelColumn: Int?
    /// Fields of features of jets, in the assembler's order.
    let jetFeatures: [Int]
    let tokens: Tokens?

    /// All fields that are decoded.
    var fields: [Int] { labels + jetFeatures + [labelColumn, tokens?.field].compactMap { $0 } }

    /// - Parameter assembler: That of the features, which has found the fields of features of jets.
    /// - Throws: `LoaderError` with code `feature` for names that are not there or that have a type that does not fit.
    init(
        _ contents: LoaderContents, assembler: FeatureAssembler?, encoding: JetEncoding, file: String
    ) throws(LoaderError) {
        let fields = encoding.fields
        func fault(_ place: String, _ message: String, _ advice: String? = nil) -> LoaderError {
            LoaderError(.feature, file: file, place: place, message: message, advice: advice)
        }
        func numbers(_ names: [String], _ what: String) throws(LoaderError) -> [Int] {
            var found: [Int] = []
            for name in names {
                guard let index = fields.firstIndex(where: { $0.name == name && $0.role != .constituent }) else {
                    let known = fields.filter { $0.role != .constituent }.map(\.name)
                    throw fault(
                        "\(what) \(name)", "is no column with one value a jet",
                        "there are \(known.joined(separator: ", "))")
                }
                guard !found.contains(index) else { throw fault("\(what) \(name)", "comes twice") }
                found.append(index)
            }
            return found
        }
        labels = try numbers(contents.labels, "label")
        labelColumn = try numbers([contents.labelColumn].compactMap { $0 }, "label").first
        if let labelColumn, [.float32, .float64].contains(fields[labelColumn].type) {
            throw fault(
                "label \(fields[labelColumn].name)", "has type \(fields[labelColumn].type), expected whole numbers",
                "columns of one class each are LoaderContents.labels")
        }
        if labelColumn != nil, !labels.isEmpty {
            throw fault(
                "labels", "come from columns of one class each and from \(contents.labelColumn ?? "")", "choose")
        }
        jetFeatures = try numbers(assembler?.jetFields ?? [], "jet feature")
        guard let pairs = contents.tokens else {
            if let name = contents.tokenColumn {
                throw fault("tokens of \(name)", "have no codebook", "say its size with LoaderContents.tokens")
            }
            tokens = nil
            return
        }
        let integers: [ElementType] = [.int16, .uint16, .int32]
        let known = fields.filter { $0.role == .constituent && integers.contains($0.type) }.map(\.name)
        let advice = "columns of codes are \(known.isEmpty ? "none" : known.joined(separator: ", "))"
        guard let name = contents.tokenColumn else {
            throw fault("tokens", "have no column that they come from", advice)
        }
        guard let index = fields.firstIndex(where: { $0.name == name }), known.contains(name) else {
            throw fault("tokens of \(name)", "need a column of constituents of type int16, uint16 or int32", advice)
        }
        tokens = Tokens(pairs: pairs, field: index)
    }
}
