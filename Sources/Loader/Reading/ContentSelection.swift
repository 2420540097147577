import ArrowIPC
import Kernels
import Shards

/// What is read of a dataset for some contents of batches.
struct ContentSelection: Sendable {
    /// How rows are told to be of a split: hashed columns, by their places in `stored`.
    struct Split: Sendable {
        var splits: Splits
        var part: Int
        var columns: [Int]
    }

    /// The dataset's encoding, with the columns that were derived behind its fields.
    let encoding: JetEncoding
    /// Stored columns that are read.
    let stored: StoredSelection
    /// The columns of batches, by the numbers of their fields.
    let names: [String: Int]
    /// Whether any field is decoded.
    let decodesFields: Bool
    /// The split, if only one is taken.
    let split: Split?
    /// Whether decoded fields of a single dataset stay in the batch. If nobody asks for columns, what features and labels are
    /// made from is needed by a thread only as long as it makes the batch.
    var decodesToBatch: Bool { !names.isEmpty }

    /// Bytes of decoded fields: all, or only the columns of batches.
    func decodedBytes(_ size: BatchSize, onlyNamed: Bool = false) -> Int {
        let more = onlyNamed ? [] : (features?.fields ?? []) + extras.fields
        return Set(Array(names.values) + more).reduce(4 * (size.rows + 1)) { sum, number in
            let field = encoding.fields[number]
            return sum + field.type.width * (field.role == .constituent ? size.constituents : size.rows)
        }
    }
    /// The features, if there are any.
    let features: FeatureSelection?
    /// Labels, features of jets and tokens.
    let extras: ExtraSelection

    /// - Throws: `LoaderError` with code `feature` or `options` for names that are not there.
    init(dataset: Dataset, contents: LoaderContents, split name: String?) throws {
        let file = dataset.directory
        let encoding = dataset.wholeEncoding, known = encoding.fields.map(\.name)
        func field(_ name: String) throws(LoaderError) -> Int {
            guard let index = known.firstIndex(of: name) else {
                throw LoaderError(
                    .feature, file: file, place: "column \(name)", message: "does not exist",
                    advice: "there are \(known.joined(separator: ", "))")
            }
            return index
        }
        var names: [String: Int] = [:]
        let all = dataset.catalogue.encoding.fields.map(\.name)
        for name in contents.columns ?? (contents.takesAllColumns ? all : []) { names[name] = try field(name) }
        var isRead = encoding.fields.indices.map { names.values.contains($0) }
        features = try contents.features.map { configuration in
            try FeatureSelection(configuration, contents: contents, encoding: encoding, file: file)
        }
        extras = try ExtraSelection(contents, assembler: features?.assembler, encoding: encoding, file: file)
        for index in (features?.fields ?? []) + extras.fields { isRead[index] = true }
        decodesFields = isRead.contains(true)

        let splits = try name.map { try Self.split($0, of: dataset, field: field) }
        // Columns that only tell the split are read but not decoded.
        var needed = isRead
        for index in splits?.columns ?? [] { needed[index] = true }
        stored = try StoredSelection(
            encoding: encoding, schema: dataset.schema, isWanted: needed,
            wantsAngles: features?.usesAngles ?? false, file: file)
        let stored = stored
        split = splits.map { found in
            Split(
                splits: found.splits, part: found.part,
                columns: found.columns.compactMap { stored.place(of: encoding.fields[$0].name) })
        }
        self.names = names
        self.encoding = encoding
    }

    private static func split(
        _ name: String, of dataset: Dataset, field: (String) throws(LoaderError) -> Int
    ) throws(LoaderError) -> (splits: Splits, part: Int, columns: [Int]) {
        func fault(_ message: String, _ advice: String? = nil) -> LoaderError {
            LoaderError(
                .options, file: dataset.directory, place: "split \(name)", message: message, advice: advice)
        }
        guard let splits = dataset.catalogue.splits, let part = splits.parts.firstIndex(where: { $0.name == name })
        else {
            let names = dataset.catalogue.splits?.parts.map(\.name).joined(separator: ", ") ?? "none"
            throw fault("does not exist", "there are \(names)")
        }
        let fields = dataset.catalogue.encoding.fields
        var columns: [Int] = []
        for column in splits.columns { columns.append(try field(column)) }
        guard columns.allSatisfy({ $0 < fields.count && fields[$0].type.width == 8 && fields[$0].role != .constituent })
        else { throw fault("its columns are not there as 64-bit numbers") }
        return (splits, part, columns)
    }
}

/// What features are computed from, by the numbers of fields.
struct FeatureSelection: Sendable {
    let assembler: FeatureAssembler
    /// Whether pt, eta and phi come from what is stored, not from momenta.
    let usesAngles: Bool
    /// px, py, pz; nil where not needed.
    let momenta: [Int]?
    let energy: Int?
    /// The sum of constituents as it is stored. Nil: it is computed.
    let axis: StoredAxis?

    /// Fields of the sum; pt and mass only if a feature refers to pt or energy of the jet.
    struct StoredAxis: Sendable {
        var eta, phi: Int
        var pt, mass: Int?
    }
    /// Weights of constituents in the axis.
    let puppiWeight: Int?
    /// The axis of the source: pt, eta, phi.
    let storedAxis: [Int]?
    /// The stored fields that the assembler names.
    let stored: [Int]

    /// Names of px, py, pz and energy where the encoding does not say them: those of AspenOpenJets and of JetClass.
    private static let usualMomenta = [
        ["px", "py", "pz", "E"], ["part_px", "part_py", "part_pz", "part_energy"],
    ]

    /// All fields that are decoded.
    var fields: [Int] {
        (momenta ?? []) + [energy, puppiWeight].compactMap { $0 } + (storedAxis ?? []) + stored
            + [axis?.eta, axis?.phi, axis?.pt, axis?.mass].compactMap { $0 }
    }

    init(
        _ configuration: FeatureConfiguration, contents: LoaderContents, encoding: JetEncoding, file: String
    ) throws(LoaderError) {
        let fields = encoding.fields, known = fields.map(\.name)
        do throws(LoaderError) {
            assembler = try FeatureAssembler(
                configuration, storedFields: fields.filter { $0.role == .constituent }.map(\.name),
                jetFields: fields.filter { $0.role != .constituent }.map(\.name))
        } catch {
            // Of a mixture, perhaps one dataset alone lacks a feature.
            var error = error
            error.file = file
            throw error
        }
        func field(_ name: String) throws(LoaderError) -> Int {
            guard let index = fields.firstIndex(where: { $0.name == name && $0.type == .float32 }) else {
                throw LoaderError(
                    .feature, file: file, place: "column \(name)",
                    message: "is needed by the features, but the dataset does not have it as float32")
            }
            return index
        }
        func fieldNumbers(_ names: [String]) throws(LoaderError) -> [Int] {
            var numbers: [Int] = []
            for name in names { numbers.append(try field(name)) }
            return numbers
        }
        let needs = assembler.needs, isSum = needs.contains(.axis) && !needs.contains(.storedAxis)
        // Only a sum as it is stored goes with the angles as they are stored.
        let sums = StoredColumn.axis.compactMap { name in fields.firstIndex { $0.name == name && $0.type == .float32 } }
        let isStored = contents.angles == .stored
        let hasAxis = isSum && !needs.contains(.puppiWeight) && sums.count == StoredColumn.axis.count && isStored
        let needsEnergy = assembler.refers(to: PANDO_FEATURE_EREL)
        axis =
            hasAxis
            ? StoredAxis(
                eta: sums[1], phi: sums[2],
                pt: needsEnergy || assembler.refers(to: PANDO_FEATURE_PTREL) ? sums[0] : nil,
                mass: needsEnergy ? sums[3] : nil) : nil
        let computesAxis = isSum && axis == nil
        usesAngles =
            (encoding.lattice != nil || encoding.forward != nil) && isStored && needs.contains(.momenta)
            && !computesAxis
        let names =
            encoding.momentum ?? Self.usualMomenta.first { $0.allSatisfy(known.contains) } ?? Self.usualMomenta[0]
        let isCartesian = configuration.features.contains {
            ["px", "py", "pz"].contains($0.name.split(separator: "_").last)
        }
        let needsMomenta = computesAxis || needs.contains(.momenta) && (!usesAngles || isCartesian)
        momenta = needsMomenta ? try fieldNumbers(Array(names.prefix(3))) : nil
        energy = computesAxis || needs.contains(.energy) ? try field(names[3]) : nil
        puppiWeight = needs.contains(.puppiWeight) ? try field("puppiWeight") : nil
        storedAxis = needs.contains(.storedAxis) ? try fieldNumbers(["jet_pt", "jet_eta", "jet_phi"]) : nil
        stored = assembler.fields.compactMap { name in known.firstIndex(of: name) }
    }
}
