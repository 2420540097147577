import Foundation
import HDF5File
import Shards
import Support

/// An HDF5 file as an input of a conversion.
final class HDF5Source: JetSource {
    let entry: InputEntry
    let slices: SliceMap
    let worstSliceBytes: Int
    let slots: Int
    private let schema: SourceSchema
    private let bandsInSlice: Int
    private let opened: Monitor<Opened?>

    /// The file, open at first; files of later groups need no descriptor yet and are closed.
    private struct Opened: Sendable {
        var dense: [DenseReader]
        var padded: PaddedReader?
    }

    /// A slice has at least so many rows if bands are shorter: reading rows of datasets with other chunks is cheaper in
    /// long stretches.
    private static let leastSliceRows = 2048

    /// Opens a file and holds it against the schema.
    /// - Throws: `HDF5Error` if it cannot be read, `ConvertError` with code `input` if it does not fit the schema.
    init(path: String, schema: SourceSchema) throws {
        let file = try HDF5File(path: path)
        let infos = Dictionary(try file.datasets().map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
        try Self.check(infos, schema, path)
        let rows = schema.datasets.first.flatMap { infos[$0.path]?.shape.first } ?? 0
        let fresh = try Self.open(file, schema)
        let padded = fresh.padded
        self.schema = schema
        opened = Monitor(fresh)
        slots = padded?.slots ?? 0
        let bandRows = padded?.bandRows ?? Self.leastSliceRows
        bandsInSlice = max(1, (Self.leastSliceRows + bandRows - 1) / bandRows)
        let sliceRows = bandRows * bandsInSlice
        slices = .equal(rows: sliceRows, of: rows)
        let jetBytes = schema.fields.filter { $0.role != .constituent }.reduce(0) { $0 + $1.type.width }
        worstSliceBytes = (padded?.estimatedBandBytes ?? 0) * bandsInSlice + sliceRows * jetBytes
        entry = InputEntry(
            name: path, bytes: file.size, headTailDigest: try InputFile.headTailDigest(path), rows: rows,
            layout: try JSONValue(encoding: Self.layout(file, schema, infos)))
    }

    private static func layout(
        _ file: HDF5File, _ schema: SourceSchema, _ infos: [String: HDF5DatasetInfo]
    ) throws -> HDF5Layout {
        let objects = [""] + schema.datasets.map(\.path)
        return HDF5Layout(
            infos: schema.datasets.compactMap { infos[$0.path] },
            attributes: try objects.flatMap { object in
                try file.attributes(of: object).map {
                    HDF5Layout.Attribute(of: object, name: $0.name, type: $0.type, value: $0.value)
                }
            })
    }

    private static func open(_ file: HDF5File, _ schema: SourceSchema) throws -> Opened {
        var opened = Opened(dense: [], padded: nil)
        var constituents: [HDF5Dataset] = []
        for described in schema.datasets {
            let dataset = try file.dataset(described.path)
            if described.role == .constituent {
                constituents.append(dataset)
            } else {
                opened.dense.append(try DenseReader(dataset))
            }
        }
        if !constituents.isEmpty { opened.padded = try PaddedReader(constituents) }
        return opened
    }

    private func open() throws -> Opened {
        try opened.update { state in
            if let state { return state }
            let fresh = try Self.open(HDF5File(path: entry.name), schema)
            state = fresh
            return fresh
        }
    }

    func close() {
        opened.update { $0 = nil }
    }

    private static func check(_ infos: [String: HDF5DatasetInfo], _ schema: SourceSchema, _ path: String) throws {
        func fault(_ dataset: String, _ message: String, _ advice: String? = nil) -> ConvertError {
            ConvertError(.input, file: path, place: "dataset \(dataset)", message: message, advice: advice)
        }
        var rows: (String, Int)?
        for described in schema.datasets {
            guard let info = infos[described.path] else {
                let found = infos.keys.sorted().joined(separator: ", ")
                throw fault(
                    described.path, "is missing; the file has \(found.isEmpty ? "no datasets" : found)",
                    "is it a file of kind '\(schema.name)'? Another kind needs --schema")
            }
            guard info.element.description == described.type.rawValue else {
                throw fault(described.path, "has elements of type \(info.element), expected \(described.type.rawValue)")
            }
            let columns = described.columns.count
            let axes = described.role == .constituent ? 2 : 1
            let fits =
                info.shape.count == axes + 1 && info.shape[axes] == columns || info.shape.count == axes && columns == 1
            guard fits else {
                let wanted = (["rows"] + (axes == 2 ? ["slots"] : []) + ["\(columns)"]).joined(separator: ", ")
                throw fault(described.path, "has shape \(info.shape), expected [\(wanted)]")
            }
            if let rows, rows.1 != info.shape[0] {
                throw fault(
                    described.path, "has \(info.shape[0]) rows, but \(rows.0) has \(rows.1)",
                    "the file was not written to its end")
            }
            rows = rows ?? (described.path, info.shape[0])
        }
        let known = Set(schema.datasets.map(\.path) + (schema.ignore ?? []))
        if let extra = infos.keys.sorted().first(where: { !known.contains($0) }) {
            throw fault(
                extra, "is not described by the schema '\(schema.name)' and would be lost",
                "describe it, or name it under 'ignore'")
        }
    }

    func read(slice: Int, using scratch: SourceScratch) throws -> RowSlice {
        let rows = slices.rows(slice)
        let file = try open()
        var owners: [AnyObject] = []
        var jetColumns: [UnsafeRawPointer?] = []
        for reader in file.dense {
            let targets = (0..<reader.columns).map { _ in AlignedBuffer(capacity: rows.count * reader.elementBytes)
            }
            try reader.read(rows: rows, into: targets.map(\.base), scratch: scratch.hdf5)
            owners += targets
            jetColumns += targets.map { UnsafeRawPointer($0.base) }
        }
        var bands: [RowSlice.Band] = []
        if let padded = file.padded {
            let first = slice * bandsInSlice
            for number in first..<min(padded.bandCount, first + bandsInSlice) {
                let band = try padded.readBand(number, scratch: scratch.hdf5)
                owners.append(band)
                var offsets = [0]
                offsets.reserveCapacity(band.rows.count + 1)
                var end = 0
                for count in band.counts {
                    end += Int(count)
                    offsets.append(end)
                }
                let columns = band.elementBytes.indices.map { band.column($0).baseAddress }
                bands.append(RowSlice.Band(rows: band.rows, offsets: offsets, columns: columns))
            }
        }
        return RowSlice(rows: rows, bands: bands, jetColumns: jetColumns, owners: owners)
    }
}
