import type { Comment } from '../entities/comment.ts'
import type { User } from '../entities/user.ts'
import { profileJson } from './user-json.ts'

export function commentJson(comment: Comment, author: User, following: boolean) {
  return {
    id: comment.id,
    createdAt: comment.createdAt,
    updatedAt: comment.updatedAt,
    body: comment.body,
    author: profileJson(author, following),
  }
}
