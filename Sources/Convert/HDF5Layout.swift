import Foundation
import HDF5File
import Shards

/// What `export` needs to write an HDF5 file again.
struct HDF5Layout: Codable {
    /// A dataset.
    struct Dataset: Codable {
        var path: String
        var type: ElementType
        var shape: [Int]
        var maxShape: [Int?]
        var chunks: [Int]?
        var deflate: Int?
        var shuffle: Bool
        var fletcher32: Bool
        /// Filters that cannot be written again; the values are, without them.
        var otherFilters: [String]?
    }

    /// An attribute of the file or of a dataset, as text: kept for people, not written again.
    struct Attribute: Codable {
        /// The dataset; empty for the file.
        var of: String
        var name: String
        var type: String
        var value: String
    }

    var datasets: [Dataset]
    var attributes: [Attribute]?

    init(infos: [HDF5DatasetInfo], attributes: [Attribute]) {
        self.attributes = attributes.isEmpty ? nil : attributes
        datasets = infos.compactMap { info in
            guard let type = ElementType(rawValue: info.element.description) else { return nil }
            let others = info.filters.filter { ![1, 2, 3].contains($0.id) }.map { "\($0.name) (\($0.id))" }
            return Dataset(
                path: info.path, type: type, shape: info.shape, maxShape: info.maxShape, chunks: info.chunkShape,
                deflate: info.filters.first { $0.id == 1 }.map { Int($0.parameters.first ?? 4) },
                shuffle: info.filters.contains { $0.id == 2 }, fletcher32: info.filters.contains { $0.id == 3 },
                otherFilters: others.isEmpty ? nil : others)
        }
    }

    /// The layout of `rows` rows of a dataset that was made from other than HDF5 files: that of the AspenOpenJets producer, gzip 4 for
    /// all but event numbers, and chunks as h5py guesses them from a first write of at most 5,000 rows. Constituents have as many slots as the
    /// selection takes at most, or as the largest jet of the dataset has.
    /// - Throws: If the catalogue does not hold the source schema.
    init(of catalogue: Catalogue, rows: Int) throws {
        let schema = try catalogue.provenance.schema.decode(SourceSchema.self)
        let selection = try catalogue.provenance.selection?.decode(SelectionChoice.self)
        let largest = catalogue.columns.first { $0.name == StoredColumn.constituents }?.statistics?.maximum ?? 0
        let slots = selection?.selection.constituents.most ?? max(1, Int(exactly: largest) ?? 1)
        datasets = schema.datasets.compactMap { dataset in
            let columns = catalogue.encoding.fields.count { $0.dataset == dataset.path }
            guard dataset.exported ?? true, columns > 0 else { return nil }
            let inner = dataset.role == .constituent ? [slots, columns] : [columns]
            let first = [min(rows, Self.firstWrite)] + inner
            return Dataset(
                path: dataset.path, type: dataset.type, shape: [rows] + inner, maxShape: [nil] + inner.map { $0 },
                chunks: Self.guessedChunks(shape: first, width: dataset.type.width),
                deflate: dataset.role == .event ? nil : 4, shuffle: false, fletcher32: false)
        }
        attributes = nil
    }

    /// Rows that the producer of AspenOpenJets writes at once.
    static let firstWrite = 5000

    /// The chunks that h5py makes for a dataset of this shape when it is left the choice (`h5py._hl.filters.guess_chunk`):
    /// halves the axes in turn until a chunk has about the size that it aims at, which grows with the dataset.
    static func guessedChunks(shape: [Int], width: Int) -> [Int] {
        let base = 16.0 * 1024, least = 8.0 * 1024, most = 1024.0 * 1024
        var chunks = shape.map { $0 == 0 ? 1024.0 : Double($0) }
        let bytes = { (chunks: [Double]) in chunks.reduce(Double(width), *) }
        let aim = min(most, max(least, base * pow(2, log10(bytes(chunks) / (1024 * 1024)))))
        var axis = 0
        while true {
            let size = bytes(chunks)
            if (size < aim || abs(size - aim) / aim < 0.5) && size < most { break }
            if chunks.reduce(1, *) == 1 { break }
            chunks[axis % chunks.count] = (chunks[axis % chunks.count] / 2).rounded(.up)
            axis += 1
        }
        return chunks.map { Int($0) }
    }
}
