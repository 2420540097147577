import Synchronization

/// Reads bands of rows of one or several datasets of shape [rows, slots, columns] or [rows, slots] that share their
/// padding.
///
/// Row i has 1 + (last slot with any non-zero bit in any column of any of the datasets) elements: NaN, -0.0 and empty
/// slots in the middle are content. Threads may share a reader; each brings its own scratch.
public final class PaddedReader: Sendable {
    /// The datasets.
    public let infos: [HDF5DatasetInfo]
    /// Rows of each of them.
    public let rows: Int
    /// Slots of a row, filled or not.
    public let slots: Int
    /// Bytes of an element of each column, of all datasets in turn.
    public let elementBytes: [Int]
    /// Rows of a band (the last one may have fewer): a multiple of the chunk rows where these agree.
    public let bandRows: Int
    private let sources: [TileSource]
    private let columns: [Int]
    /// Large bands whose first columns did not tell the counts; after a few of them nobody tries any more.
    private let surprises = Atomic<Int>(0)

    /// A reader for datasets of equal rows and slots.
    /// - Throws: `HDF5Error`: `unsupported` for other shapes and types, `unavailableFilter`, `damaged`.
    public init(_ datasets: [HDF5Dataset], method: HDF5ReadMethod = .fastest) throws(HDF5Error) {
        guard let first = datasets.first else {
            throw HDF5Error(.usage, file: "", message: "a padded reader needs a dataset")
        }
        var sources: [TileSource] = []
        for dataset in datasets {
            let shape = dataset.info.shape
            func failure(_ message: String) -> HDF5Error {
                HDF5Error(.unsupported, file: dataset.file.path, place: dataset.info.path, message: message)
            }
            guard shape.count == 2 || shape.count == 3 else {
                throw failure("shape \(shape) is not [rows, slots] or [rows, slots, columns]")
            }
            guard Array(shape.prefix(2)) == Array(first.info.shape.prefix(2)) else {
                throw failure("shape \(shape) does not go with \(first.info.shape) of \(first.info.path)")
            }
            // Extents are kept in 16 bits, and a row must not be an absurdity.
            guard shape[1] <= 65_535, let row = shape.dropFirst().product(), row <= 1 << 20 else {
                throw failure("a row of \(shape.dropFirst()) elements is too long")
            }
            let source = try dataset.source(method)
            guard source.tileShape[1] <= 65_535 else { throw failure("a chunk of \(source.tileShape[1]) slots") }
            sources.append(source)
        }
        self.sources = sources
        infos = datasets.map(\.info)
        rows = first.info.shape[0]
        slots = first.info.shape[1]
        columns = infos.map { $0.shape.count == 2 ? 1 : $0.shape[2] }
        elementBytes = zip(sources, columns).flatMap { Array(repeating: $0.elementBytes, count: $1) }
        bandRows = Self.bandRows(sources.map { $0.tileShape[0] }, rows: rows)
    }

    /// A common multiple of the chunk rows if there is one of sensible size, otherwise the largest; at least about 256
    /// rows, so that tiny chunks do not make tiny bands.
    private static func bandRows(_ chunkRows: [Int], rows: Int) -> Int {
        let largest = chunkRows.max() ?? 1
        var unit = 1
        for count in chunkRows {
            let (product, overflow) = (unit / gcd(unit, count)).multipliedReportingOverflow(by: count)
            guard !overflow, product <= max(4 * largest, 1024) else {
                unit = largest
                break
            }
            unit = product
        }
        return max(1, min(unit * 256.pieces(of: unit), max(rows, 1)))
    }

    private static func gcd(_ a: Int, _ b: Int) -> Int { b == 0 ? a : gcd(b, a % b) }

    /// How many bands there are.
    public var bandCount: Int { rows.pieces(of: bandRows) }

    /// The rows of a band.
    public func rows(ofBand band: Int) -> Range<Int> {
        band * bandRows..<min(rows, (band + 1) * bandRows)
    }

    /// Bytes of a band if no slot were empty: the most that `readBand` returns, and about the most that its scratch
    /// holds besides two chunks (above 16 MiB, usually that of one group of columns only).
    public var estimatedBandBytes: Int {
        let row = slots * elementBytes.reduce(0, +)
        return [bandRows, row + 4].product() ?? .max
    }

    /// Reads a band.
    /// - Throws: `HDF5Error`; `damaged` names dataset, chunk and byte offset.
    public func readBand(_ band: Int, scratch: HDF5Scratch) throws(HDF5Error) -> JaggedBand {
        guard band >= 0, band < bandCount else {
            throw HDF5Error(
                .usage, file: sources[0].file.path, place: infos[0].path, message: "no band \(band) of \(bandCount)")
        }
        var builder = BandBuilder(rows: rows(ofBand: band), slots: slots, elementBytes: elementBytes, scratch: scratch)
        var groups: [BandBuilder.Group] = []
        var first = 0
        for (source, columns) in zip(sources, columns) {
            groups += BandBuilder.Group.all(of: source, columns: columns, firstColumn: first)
            first += columns
        }
        let isLarge = estimatedBandBytes > Self.largeBand
        if isLarge, surprises.load(ordering: .relaxed) < 2 {
            if let result = try builder.buildGroupByGroup(groups) { return result }
            surprises.wrappingAdd(1, ordering: .relaxed)
        }
        return try builder.buildAtOnce(groups)
    }

    /// Bands above this size are built one group of columns at a time: that keeps the working memory to one group, and
    /// in the cache. Smaller ones read their chunks in the order of the file instead.
    private static let largeBand = 16 << 20
}
