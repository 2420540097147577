import Support

extension InputFile {
    /// Bytes of the file, which an error of the system's does not name.
    func bytes(at position: Int, count: Int) throws(ROOTError) -> [UInt8] {
        do throws(SystemError) { return try read(at: position, count: count) } catch { throw ROOTError(error) }
    }

    /// The header at a record itself: that in a list of keys may be of another length.
    func record(at position: Int) throws(ROOTError) -> ROOTKey {
        // Three names of at most some hundred bytes; longer ones are read again with what the header can hold.
        var count = 512
        while true {
            let bytes = try bytes(at: position, count: min(count, max(0, size - position)))
            do throws(ROOTError) {
                return try withBytes(of: bytes) { bytes throws(ROOTError) in
                    var cursor = ByteCursor(bytes, from: .file(position))
                    return try ROOTKey(&cursor, at: position, fileSize: size)
                }
            } catch {
                guard error.code == .truncated, count < 1 << 17, bytes.count == count else { throw error }
                count *= 16
            }
        }
    }

    /// The directory whose header is at `position`.
    func directory(at position: Int) throws(ROOTError) -> Directory {
        let head = try bytes(at: position, count: min(64, max(0, size - position)))
        return try withBytes(of: head) { bytes throws(ROOTError) in
            var cursor = ByteCursor(bytes, from: .file(position))
            let version = try cursor.next(Int16.self)
            try cursor.skip(8)
            let listBytes = Int(try cursor.next(Int32.self))
            try cursor.skip(4)
            let isWide = version > 1000
            _ = try cursor.nextPlace(isWide: isWide)
            _ = try cursor.nextPlace(isWide: isWide)
            return Directory(listPosition: try cursor.nextPlace(isWide: isWide), listBytes: listBytes)
        }
    }
}

/// The header of a directory: where its list of keys is.
struct Directory {
    let listPosition: Int
    let listBytes: Int

    /// The largest list.
    private static let longestList = 1 << 28

    /// The keys in it.
    func keys(of input: InputFile) throws(ROOTError) -> [ROOTKey] {
        // An empty directory has no list.
        guard listPosition != 0 else { return [] }
        guard listPosition > 0, (0...Self.longestList).contains(listBytes), listPosition <= input.size,
            listBytes <= input.size - listPosition
        else {
            throw ROOTError(
                .damaged, place: "list of keys at byte \(listPosition)",
                message: "\(listBytes) bytes there do not fit a file of \(input.size)",
                advice: "the file was not closed by its writer, cut short or changed: get a new copy")
        }
        let bytes = try input.bytes(at: listPosition, count: listBytes)
        do throws(ROOTError) {
            return try withBytes(of: bytes) { bytes throws(ROOTError) in
                var cursor = ByteCursor(bytes, from: .file(listPosition))
                let own = try ROOTKey(&cursor, at: listPosition, fileSize: input.size)
                try cursor.skip(own.headerBytes - cursor.position)
                let count = Int(try cursor.next(Int32.self))
                // 26 bytes are the least that a key takes.
                guard count >= 0, count <= cursor.left / 26 else {
                    throw cursor.damaged("\(count) keys in \(cursor.left) bytes")
                }
                var keys: [ROOTKey] = []
                keys.reserveCapacity(count)
                for _ in 0..<count { keys.append(try ROOTKey(&cursor, at: nil, fileSize: input.size)) }
                return keys
            }
        } catch {
            throw error.inside("list of keys")
        }
    }
}
