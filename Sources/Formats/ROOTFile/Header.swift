import Support

/// The header of a file.
struct Header {
    let version: String
    let compression: Int
    let directoryPosition: Int
    let streamerInfoPosition: Int

    init(_ bytes: [UInt8], fileSize size: Int) throws(ROOTError) {
        self = try withBytes(of: bytes) { bytes throws(ROOTError) in
            var cursor = ByteCursor(bytes, from: .file(0))
            try cursor.skip(4)
            let number = Int(try cursor.next(Int32.self)), isWide = number >= 1_000_000
            let begin = Int(try cursor.next(Int32.self)), end = try cursor.nextPlace(isWide: isWide)
            _ = try cursor.nextPlace(isWide: isWide)
            try cursor.skip(8)
            let nameBytes = Int(try cursor.next(Int32.self))
            try cursor.skip(1)
            let compression = Int(try cursor.next(Int32.self))
            let information = try cursor.nextPlace(isWide: isWide)
            guard end <= size else {
                throw ROOTError(
                    .truncated, message: "the file has \(size) bytes, its header says \(end)",
                    advice: "it was cut short: get a new copy")
            }
            guard begin > 0, begin < size, nameBytes >= 0, nameBytes < size - begin, (0...size).contains(information)
            else {
                throw ROOTError(
                    .damaged, message: "records from \(begin), name of \(nameBytes) bytes, streamers at \(information)")
            }
            let plain = number % 1_000_000
            return Header(
                version: "\(plain / 10_000).\(Self.two(plain / 100 % 100))/\(Self.two(plain % 100))",
                compression: compression, directoryPosition: begin + nameBytes, streamerInfoPosition: information)
        }
    }

    private init(version: String, compression: Int, directoryPosition: Int, streamerInfoPosition: Int) {
        self.version = version
        self.compression = compression
        self.directoryPosition = directoryPosition
        self.streamerInfoPosition = streamerInfoPosition
    }

    private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
